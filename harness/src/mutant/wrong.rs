//! Every way to be wrong: a name, the role that can be it, and the areas of scenarios that are
//! there to notice.

/// Which roles a mutant can play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plays {
    /// Clients.
    Client,
    /// Servers.
    Server,
    /// Both.
    Both,
}

/// Declares the variants with their names, roles and areas in one place.
macro_rules! wrongs {
    ($($(#[$doc:meta])* $variant:ident $name:literal $plays:ident $areas:literal;)+) => {
        /// The one rule that a mutant breaks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Wrong {
            $(
                #[doc = $name]
                $variant,
            )+
        }

        impl Wrong {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// What it does, in words with dashes.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Who can be it.
            #[must_use]
            pub fn plays(self) -> Plays {
                match self {
                    $(Self::$variant => Plays::$plays,)+
                }
            }

            /// The areas of scenarios that have to do with it.
            #[must_use]
            pub fn areas(self) -> std::str::SplitAsciiWhitespace<'static> {
                match self {
                    $(Self::$variant => $areas.split_ascii_whitespace(),)+
                }
            }
        }
    };
}

wrongs! {
    HashesIdentWithoutComment "hashes-ident-without-comment" Both "ident";
    TrimsIdent "trims-ident" Both "ident";
    DropsCarriageReturns "drops-carriage-returns" Both "ident";
    CutsLongIdent "cuts-long-ident" Both "ident";
    CutsIdentAtDash "cuts-ident-at-dash" Both "ident";
    HashesIdentAs20 "hashes-ident-as-2.0" Both "ident";
    TakesNulInIdent "takes-nul-in-ident" Both "ident";
    TakesVersion1 "takes-version-1" Both "ident";
    TakesVersion3 "takes-version-3" Both "ident";
    RefusesVersion199 "refuses-version-1.99" Both "ident";
    TakesAnyIdent "takes-any-ident" Server "ident";
    TakesLinesBeforeClient "takes-lines-before-client" Server "ident";
    RefusesLinesBefore "refuses-lines-before" Client "ident";
    RefusesLongIdent "refuses-long-ident" Both "ident";
    WantsCarriageReturn "wants-carriage-return" Both "ident";
    TakesCarriageReturnForEnd "takes-carriage-return-for-end" Both "ident";
    HangsAtUtf8 "hangs-at-utf-8" Both "ident";
    HangsAtOddIdent "hangs-at-odd-ident" Both "ident";
    RefusesByName "refuses-by-name" Both "ident";
    RefusesOldOpenssh "refuses-old-openssh" Both "ident";
    TakesWrongTags "takes-wrong-tags" Both "packet";
    TakesBrokenBlocks "takes-broken-blocks" Both "packet";
    TakesShortPadding "takes-short-padding" Both "packet";
    HangsAtUnreadable "hangs-at-unreadable" Both "packet rekey";
    DropsRestOfSegment "drops-rest-of-segment" Both "packet";
    DropsPartialPackets "drops-partial-packets" Both "packet";
    RefusesLongPadding "refuses-long-padding" Both "packet";
    RefusesEvenPadding "refuses-even-padding" Both "packet";
    RefusesShortPayloads "refuses-short-payloads" Both "packet";
    HangsAtNumberZero "hangs-at-number-zero" Both "packet";
    DoesNotCountIgnore "does-not-count-ignore" Both "packet messages";
    HangsAtOldName "hangs-at-old-name" Both "kex rekey";
    GoesOnWithNothingInCommon "goes-on-with-nothing-in-common" Both "kex rekey strict-kex ext-info";
    RefusesAsymmetry "refuses-asymmetry" Both "kex";
    WantsMac "wants-mac" Both "kex";
    HangsAtOddNames "hangs-at-odd-names" Both "kex";
    RefusesLanguages "refuses-languages" Both "kex";
    HashesNoReserved "hashes-no-reserved" Both "kex";
    HashesNoCookie "hashes-no-cookie" Both "kex limits";
    TakesTruncatedKexinit "takes-truncated-kexinit" Both "kex";
    TakesTrailingKexinit "takes-trailing-kexinit" Both "kex";
    CutsNamesAtNul "cuts-names-at-nul" Both "kex";
    TakesEmptyNames "takes-empty-names" Both "kex";
    UsesWrongGuess "uses-wrong-guess" Both "kex rekey";
    SkipsRightGuess "skips-right-guess" Server "kex";
    ForgetsHostKeyInGuess "forgets-host-key-in-guess" Both "kex";
    ParsesWrongGuess "parses-wrong-guess" Both "kex rekey";
    StripsNamesForGuess "strips-names-for-guess" Server "kex";
    DoesNotCountGuess "does-not-count-guess" Server "kex";
    TakesSecondKexinit "takes-second-kexinit" Both "kex rekey strict-kex";
    AnswersEarlyShare "answers-early-share" Server "kex";
    AnswersSecondShare "answers-second-share" Server "kex";
    TakesTrailingShare "takes-trailing-share" Both "kex";
    TakesAnyShare "takes-any-share" Both "kex";
    TakesLowOrder "takes-low-order" Both "kex rekey";
    HashesMaskedShare "hashes-masked-share" Client "kex";
    TakesAnySignature "takes-any-signature" Client "host-key rekey";
    TakesAnyHostKey "takes-any-host-key" Client "host-key";
    SkipsProofAtRekey "skips-proof-at-rekey" Client "rekey";
    HashesPlainSecret "hashes-plain-secret" Both "kex rekey";
    KeepsLeadingZeros "keeps-leading-zeros" Both "kex rekey";
    AddsNoZero "adds-no-zero" Both "kex rekey";
    StripsZeroOfSign "strips-zero-of-sign" Both "kex rekey";
    RefusesShareAbovePrime "refuses-share-above-prime" Server "kex";
    IgnoresEarlyNewkeys "ignores-early-newkeys" Both "kex rekey strict-kex";
    TakesNewkeysWithPayload "takes-newkeys-with-payload" Both "kex";
    SkipsNewkeys "skips-newkeys" Server "kex";
    ServesInClear "serves-in-clear" Both "kex strict-kex";
    IgnoresOutOfTurn "ignores-out-of-turn" Both "kex strict-kex rekey";
    TakesExtInfoInClear "takes-ext-info-in-clear" Client "kex strict-kex";
    BelievesSuccessUnasked "believes-success-unasked" Client "kex auth";
    ToleratesInStrict "tolerates-in-strict" Both "strict-kex";
    AnswersInStrict "answers-in-strict" Both "strict-kex";
    ToleratesBeforeKexinit "tolerates-before-kexinit" Both "strict-kex";
    DoesNotResetNumbers "does-not-reset-numbers" Both "strict-kex kex rekey";
    ResetsAlways "resets-always" Both "strict-kex packet rekey messages limits";
    OffersNoMarker "offers-no-marker" Both "strict-kex";
    TakesMarkerOfOtherRole "takes-marker-of-other-role" Both "strict-kex";
    TakesMarkerAtRekey "takes-marker-at-rekey" Both "rekey";
    ForgetsStrict "forgets-strict" Both "rekey";
    StrictAtRekey "strict-at-rekey" Both "rekey";
    TakesMarkerForMethod "takes-marker-for-method" Both "strict-kex ext-info";
    HangsAtMarkers "hangs-at-markers" Both "ext-info";
    EndsAtExtInfo "ends-at-ext-info" Both "ext-info";
    EndsAtLateExtInfo "ends-at-late-ext-info" Client "ext-info";
    HangsAtLateExtInfo "hangs-at-late-ext-info" Server "ext-info";
    EndsAtUnknownExtension "ends-at-unknown-extension" Both "ext-info";
    HangsWithoutScheme "hangs-without-scheme" Client "ext-info";
    StartsOver "starts-over" Both "kex";
    SendsExtInfoUnasked "sends-ext-info-unasked" Both "ext-info";
    SendsExtInfoLate "sends-ext-info-late" Server "ext-info";
    SendsExtInfoAgain "sends-ext-info-again" Both "rekey";
    EndsAtUnknown "ends-at-unknown" Both "messages packet";
    IgnoresUnknown "ignores-unknown" Both "messages packet";
    MiscountsUnimplemented "miscounts-unimplemented" Both "messages packet rekey strict-kex";
    AnswersUnimplemented "answers-unimplemented" Both "messages";
    EndsAtDebug "ends-at-debug" Both "messages";
    EndsAtIgnore "ends-at-ignore" Both "messages packet";
    AnswersIgnore "answers-ignore" Both "messages packet limits";
    IgnoresDisconnect "ignores-disconnect" Both "messages channel";
    IgnoresOddDisconnect "ignores-odd-disconnect" Both "messages";
    HangsAtMalformed "hangs-at-malformed" Both "messages channel service auth ext-info kex limits";
    IgnoresEndOfStream "ignores-end-of-stream" Both "messages";
    DiesOfReset "dies-of-reset" Server "messages";
    IgnoresPing "ignores-ping" Both "messages";
    PingsUnasked "pings-unasked" Both "messages";
    HangsAtPing "hangs-at-ping" Both "messages limits";
    HangsAtPong "hangs-at-pong" Both "messages";
    TakesAnswersOfServers "takes-answers-of-servers" Server "messages auth";
    ServesAsClient "serves-as-client" Client "messages";
    HangsAtOtherService "hangs-at-other-service" Client "service";
    GivesAnyService "gives-any-service" Server "service";
    CutsServiceAtNul "cuts-service-at-nul" Server "service";
    AcceptsOtherName "accepts-other-name" Server "service";
    HangsAtSecondService "hangs-at-second-service" Server "service";
    WantsAnotherService "wants-another-service" Client "service";
    LogsInWithoutService "logs-in-without-service" Server "auth";
    AnswersAfterSuccess "answers-after-success" Server "auth";
    LetsChangedUserIn "lets-changed-user-in" Server "auth";
    LetsNobodyIn "lets-nobody-in" Server "auth";
    IgnoresSuccess "ignores-success" Client "auth";
    LetsNoneIn "lets-none-in" Server "auth";
    LetsAnyUserIn "lets-any-user-in" Server "auth";
    CutsUserAtNul "cuts-user-at-nul" Server "auth";
    LogsInToAnyService "logs-in-to-any-service" Server "auth";
    ListsNone "lists-none" Server "auth";
    ListsNothing "lists-nothing" Server "auth";
    SaysPartialSuccess "says-partial-success" Server "auth";
    EndsAtUnknownMethod "ends-at-unknown-method" Server "auth";
    AcceptsAnyKey "accepts-any-key" Server "auth";
    AcceptsAnyAlgorithm "accepts-any-algorithm" Server "auth";
    LetsQueriesIn "lets-queries-in" Server "auth";
    TrustsQueriedKey "trusts-queried-key" Server "auth";
    VerifiesNothing "verifies-nothing" Server "auth";
    TakesTrailingRequest "takes-trailing-request" Server "auth";
    HangsAtMalformedKey "hangs-at-malformed-key" Server "auth";
    TakesAnyPassword "takes-any-password" Server "auth";
    TakesStartOfPassword "takes-start-of-password" Server "auth";
    BelievesChangeRequest "believes-change-request" Client "auth";
    TakesPasswordChange "takes-password-change" Server "auth";
    CountsNoFailures "counts-no-failures" Server "auth limits";
    BelievesHosts "believes-hosts" Server "auth";
    BelievesKeyboards "believes-keyboards" Server "auth";
    BelievesResponses "believes-responses" Server "auth messages";
    BelievesSuccessOfClient "believes-success-of-client" Server "auth messages";
    OpensBeforeLogin "opens-before-login" Both "auth";
    AnswersBeforeLogin "answers-before-login" Both "auth";
    AsksForEver "asks-for-ever" Client "auth";
    HangsAtFailure "hangs-at-failure" Client "auth";
    HangsAtSecondSuccess "hangs-at-second-success" Client "auth";
    SignsForAnyKey "signs-for-any-key" Client "auth";
    EndsAtBanner "ends-at-banner" Client "auth";
    EndsAtLateBanner "ends-at-late-banner" Client "auth";
    IgnoresGlobal "ignores-global" Both "global";
    AnswersKeepaliveOnly "answers-keepalive-only" Both "global";
    AnswersUnwanted "answers-unwanted" Both "global channel session";
    GrantsAnyGlobal "grants-any-global" Both "global";
    TakesOneForTrueOnly "takes-one-for-true-only" Both "global channel";
    HangsAtStrayReply "hangs-at-stray-reply" Both "global channel";
    EndsAtHostkeys "ends-at-hostkeys" Client "global";
    OpensAfterNoMore "opens-after-no-more" Server "global";
    OpensNothing "opens-nothing" Server "channel session window";
    OpensAnything "opens-anything" Both "channel";
    IgnoresUnknownTypes "ignores-unknown-types" Both "channel";
    RefusesOnce "refuses-once" Both "channel";
    NamesOneReason "names-one-reason" Both "channel";
    RefusesLargeNumbers "refuses-large-numbers" Both "channel";
    MasksNumbers "masks-numbers" Both "channel";
    UsesOwnNumbers "uses-own-numbers" Both "channel";
    TakesMalformedOpen "takes-malformed-open" Both "channel";
    ConfirmsTwice "confirms-twice" Client "channel";
    HangsAtStrayAnswer "hangs-at-stray-answer" Both "channel";
    HangsAtUnknownChannel "hangs-at-unknown-channel" Both "channel";
    AnswersForUnknownChannels "answers-for-unknown-channels" Both "channel";
    StaysAfterRefusal "stays-after-refusal" Client "channel";
    IgnoresUnknownRequests "ignores-unknown-requests" Both "channel";
    IgnoresChannelKeepalive "ignores-channel-keepalive" Both "channel";
    GrantsAnyRequest "grants-any-request" Both "channel session";
    RunsTwoCommands "runs-two-commands" Server "channel";
    RunsAnySubsystem "runs-any-subsystem" Server "session";
    TakesAnyVariable "takes-any-variable" Server "session";
    HangsAtOddVariables "hangs-at-odd-variables" Server "session";
    MakesTerminalsAgain "makes-terminals-again" Server "session limits";
    IgnoresNewSizes "ignores-new-sizes" Server "session";
    IgnoresSignals "ignores-signals" Server "session";
    DiesOfAnySignal "dies-of-any-signal" Server "session";
    EndsAtWindowChange "ends-at-window-change" Server "session";
    EndsAtFlowControl "ends-at-flow-control" Client "channel";
    EndsAtEow "ends-at-eow" Both "channel";
    SendsEowToAll "sends-eow-to-all" Server "channel";
    HangsAtOddCommands "hangs-at-odd-commands" Server "session";
    HangsAtSecondStatus "hangs-at-second-status" Client "channel";
    AddsStatuses "adds-statuses" Client "channel";
    WaitsForReply "waits-for-reply" Client "channel";
    ReportsNoStatus "reports-no-status" Server "session channel";
    ReportsOtherStatus "reports-other-status" Server "session channel";
    WaitsForLeftBehind "waits-for-left-behind" Server "session";
    ReportsSignalAsStatus "reports-signal-as-status" Server "session";
    SwapsStreams "swaps-streams" Server "session window";
    NeverCloses "never-closes" Server "session channel";
    IgnoresClose "ignores-close" Both "channel";
    ClosesTwice "closes-twice" Both "channel rekey";
    SpeaksAfterClose "speaks-after-close" Both "channel";
    SpeaksAfterEof "speaks-after-eof" Server "session channel";
    HangsAfterClose "hangs-after-close" Both "channel";
    StaysAfterClose "stays-after-close" Client "channel";
    LeavesAtEof "leaves-at-eof" Client "channel";
    ForgetsEarlyEof "forgets-early-eof" Server "channel";
    HangsAtSecondEof "hangs-at-second-eof" Both "channel";
    HangsAfterEof "hangs-after-eof" Both "channel";
    OverrunsWindows "overruns-windows" Both "window rekey";
    OverrunsPackets "overruns-packets" Both "window";
    FloodsPacketsOfZero "floods-packets-of-zero" Both "window";
    CountsNoStderr "counts-no-stderr" Server "window";
    WrapsWindows "wraps-windows" Both "window";
    TakesLargeWindowForNone "takes-large-window-for-none" Both "window";
    LosesAdjustments "loses-adjustments" Both "window rekey";
    HangsAtIdleAdjust "hangs-at-idle-adjust" Both "window";
    HangsAtAdjust "hangs-at-adjust" Both "window";
    HangsAtOutput "hangs-at-output" Client "window";
    HangsAtEmptyData "hangs-at-empty-data" Both "window";
    TakesEmptyDataForEof "takes-empty-data-for-eof" Server "window";
    HangsAtStderr "hangs-at-stderr" Server "window";
    HangsAtUnknownStream "hangs-at-unknown-stream" Both "window";
    KeepsSevenBits "keeps-seven-bits" Server "window";
    HangsAtOverrun "hangs-at-overrun" Both "window";
    NeverRekeys "never-rekeys" Both "rekey";
    HangsAtCrossing "hangs-at-crossing" Both "rekey";
    RefusesInFlight "refuses-in-flight" Both "rekey";
    IgnoresRekey "ignores-rekey" Both "rekey auth";
    EndsAtRekey "ends-at-rekey" Both "rekey";
    RekeysOnce "rekeys-once" Both "rekey";
    ChangesSessionId "changes-session-id" Both "rekey";
    HangsAtOldNameInRekey "hangs-at-old-name-in-rekey" Both "rekey";
    RekeyNeedsWindow "rekey-needs-window" Server "rekey";
    SendsInRekey "sends-in-rekey" Server "rekey";
    DropsInRekey "drops-in-rekey" Both "rekey";
    TakesAllInRekey "takes-all-in-rekey" Both "rekey";
}
