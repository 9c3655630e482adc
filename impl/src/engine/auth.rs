//! User authentication (RFC 4252): one of the few places where client and server differ.

use zeroize::Zeroizing;

use super::event::{AuthAnswer, AuthQuestion, Event, Password, Proof};
use super::outbox::Outbox;
use super::{ApiMisuse, Limits, PeerFault};
use crate::crypto::{ExchangeHash, PublicKey, SigningKey};
use crate::msg::names::{SSH_CONNECTION, SSH_ED25519, SSH_USERAUTH};
use crate::msg::{
    AuthMethod, Message, MessageId, Service, UserauthBanner, UserauthFailure, UserauthPkOk,
    UserauthRequest,
};
use crate::wire::NameList;

/// What a client logs in with.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Nothing. Few servers let anybody in for that; the others say what would do.
    None,
    /// A key.
    Publickey(SigningKey),
    /// A password.
    Password(Password),
}

/// What a server that did not let us in said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The methods that can go on.
    pub methods: Vec<String>,
    /// What we showed was right and is not enough: go on with one of the methods.
    pub is_partial_success: bool,
    /// The password was right and is to be changed before it lets anybody in. We do not change
    /// passwords.
    pub wants_new_password: bool,
}

/// What to do about an authentication message that has no place here.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It was taken.
    Yes,
    /// Answer UNIMPLEMENTED.
    NotUnderstood,
}

/// As a client.
#[derive(Debug)]
pub(super) struct AuthClient {
    state: ClientState,
    /// What the server said last that can go on.
    methods: Vec<String>,
    /// A key that it would take, until something else is asked.
    accepted: Option<Box<Offer>>,
    banner_bytes: usize,
    banner_bytes_max: usize,
}

#[derive(Debug)]
enum ClientState {
    /// `ssh-userauth` was not asked for yet.
    NoService,
    /// It was, and this request waits for it.
    ExpectServiceAccept(Box<Request>),
    /// Nothing is under way.
    Ready,
    /// The server was asked whether this key would do.
    ExpectPkOk(Box<Offer>),
    /// A request is under way, by this method.
    ExpectVerdict(&'static str),
    /// We are in.
    Done,
}

/// A key that the server is asked about first: only for one that would take it is anything signed.
#[derive(Debug)]
struct Offer {
    user: String,
    public_key: PublicKey,
    /// What signs as soon as the key is accepted; without it that is for the caller to say.
    signer: Option<SigningKey>,
    session_id: ExchangeHash,
}

/// An encoded request; it may hold a password.
#[derive(Debug)]
struct Request {
    payload: Zeroizing<Vec<u8>>,
    then: ClientState,
}

impl AuthClient {
    pub(super) fn new(banner_bytes_max: usize) -> Self {
        Self {
            state: ClientState::NoService,
            methods: Vec::new(),
            accepted: None,
            banner_bytes: 0,
            banner_bytes_max,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, ClientState::Done)
    }

    pub(super) fn request(
        &mut self,
        user: &str,
        credential: &Credential,
        session_id: &ExchangeHash,
        out: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        let accepted = self.accepted.take();
        self.ask(user, out, || match credential {
            Credential::None => Request {
                payload: encode(user, AuthMethod::None),
                then: ClientState::ExpectVerdict(AuthMethod::NONE),
            },
            Credential::Password(password) => {
                let (password, new_password) = (password.expose(), None);
                let method = AuthMethod::Password {
                    password,
                    new_password,
                };
                Request {
                    payload: encode(user, method),
                    then: ClientState::ExpectVerdict(AuthMethod::PASSWORD),
                }
            }
            Credential::Publickey(key) => match accepted {
                Some(offer) if offer.is_of(user, &key.public_key()) => offer.signed(key),
                _ => Offer::new(user, key.public_key(), session_id).probe(Some(key.clone())),
            },
        })
    }

    /// Asks whether a key would do, and leaves the rest to the caller.
    pub(super) fn probe(
        &mut self,
        user: &str,
        key: &PublicKey,
        session_id: &ExchangeHash,
        out: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        self.accepted = None;
        self.ask(user, out, || {
            Offer::new(user, key.clone(), session_id).probe(None)
        })
    }

    fn ask(
        &mut self,
        user: &str,
        out: &mut Outbox,
        request: impl FnOnce() -> Request,
    ) -> Result<(), ApiMisuse> {
        self.may_request()?;
        let bytes_max = UserauthRequest::USER_BYTES_MAX;
        if user.len() > bytes_max {
            return Err(ApiMisuse::AskedTooMuch { bytes_max });
        }
        let request = request();
        if matches!(self.state, ClientState::NoService) {
            out.send(&Message::ServiceRequest(Service { name: SSH_USERAUTH }));
            self.state = ClientState::ExpectServiceAccept(Box::new(request));
        } else {
            self.send(request, out);
        }
        Ok(())
    }

    /// Whether this is the moment for a request.
    pub(super) fn may_request(&self) -> Result<(), ApiMisuse> {
        match self.state {
            ClientState::NoService | ClientState::Ready => Ok(()),
            ClientState::ExpectServiceAccept(_)
            | ClientState::ExpectPkOk(_)
            | ClientState::ExpectVerdict(_) => Err(ApiMisuse::AuthenticatedTwiceAtOnce),
            ClientState::Done => Err(ApiMisuse::AuthenticatedAgain),
        }
    }

    pub(super) fn on_message(
        &mut self,
        message: &Message<'_>,
        out: &mut Outbox,
        events: &mut impl Extend<Event>,
    ) -> Result<Taken, PeerFault> {
        match (
            std::mem::replace(&mut self.state, ClientState::Ready),
            message,
        ) {
            (ClientState::ExpectServiceAccept(request), Message::ServiceAccept(_)) => {
                self.send(*request, out);
            }
            (ClientState::ExpectPkOk(offer), Message::UserauthPkOk(accepted)) => {
                offer.check(accepted)?;
                if let Some(signer) = &offer.signer {
                    self.send(offer.signed(signer), out);
                } else {
                    self.accepted = Some(offer);
                    events.extend([Event::KeyAccepted]);
                }
            }
            // A server that lets everybody in may say so before it has seen a signature.
            (
                ClientState::ExpectPkOk(_) | ClientState::ExpectVerdict(_),
                Message::UserauthSuccess,
            ) => {
                self.state = ClientState::Done;
                events.extend([Event::AuthSucceeded]);
            }
            (
                ClientState::ExpectPkOk(_) | ClientState::ExpectVerdict(_),
                Message::UserauthFailure(failure),
            ) => {
                self.methods = failure.methods.iter().map(str::to_owned).collect();
                events.extend([Event::AuthFailed(Refusal {
                    methods: self.methods.clone(),
                    is_partial_success: failure.partial_success,
                    wants_new_password: false,
                })]);
            }
            // The server wants a new password (RFC 4252 §8), and we have none to offer.
            (ClientState::ExpectVerdict(AuthMethod::PASSWORD), Message::UserauthPkOk(_)) => {
                events.extend([Event::AuthFailed(Refusal {
                    methods: self.methods.clone(),
                    is_partial_success: false,
                    wants_new_password: true,
                })]);
            }
            (ClientState::Done, _) => {
                self.state = ClientState::Done;
                return Ok(Taken::NotUnderstood);
            }
            (state, Message::UserauthBanner(banner)) => {
                self.state = state;
                self.count_banner(banner)?;
                events.extend([Event::BannerReceived(banner.text.to_vec())]);
            }
            (state, message) => return Self::refuse(&state, message.id()),
        }
        Ok(Taken::Yes)
    }

    fn send(&mut self, request: Request, out: &mut Outbox) {
        self.state = request.then;
        out.send_payload(request.payload);
    }

    /// A server that talks and talks before its verdict may not fill our memory, nor one that says
    /// nothing over and over.
    fn count_banner(&mut self, banner: &UserauthBanner<'_>) -> Result<(), PeerFault> {
        let banner_bytes_max = self.banner_bytes_max;
        self.banner_bytes += banner.text.len() + Limits::BYTES_OF_A_BANNER;
        match self.banner_bytes > banner_bytes_max {
            true => Err(PeerFault::FloodedBanners { banner_bytes_max }),
            false => Ok(()),
        }
    }

    fn refuse(state: &ClientState, got: MessageId) -> Result<Taken, PeerFault> {
        let expected: &'static [MessageId] = match state {
            ClientState::ExpectServiceAccept(_) => &[MessageId::SERVICE_ACCEPT],
            ClientState::ExpectPkOk(_) => &[
                MessageId::USERAUTH_PK_OK,
                MessageId::USERAUTH_SUCCESS,
                MessageId::USERAUTH_FAILURE,
                MessageId::USERAUTH_BANNER,
            ],
            ClientState::ExpectVerdict(_) => &[
                MessageId::USERAUTH_SUCCESS,
                MessageId::USERAUTH_FAILURE,
                MessageId::USERAUTH_BANNER,
            ],
            ClientState::NoService | ClientState::Ready | ClientState::Done => &[],
        };
        Err(PeerFault::SentOutOfTurn { got, expected })
    }
}

fn request<'a>(user: &'a str, method: AuthMethod<'a>) -> UserauthRequest<'a> {
    UserauthRequest {
        user: user.as_bytes(),
        service: SSH_CONNECTION,
        method,
    }
}

fn encode(user: &str, method: AuthMethod<'_>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Message::UserauthRequest(request(user, method)).to_payload())
}

impl Offer {
    fn new(user: &str, public_key: PublicKey, session_id: &ExchangeHash) -> Self {
        Self {
            user: user.to_owned(),
            public_key,
            signer: None,
            session_id: *session_id,
        }
    }

    fn is_of(&self, user: &str, key: &PublicKey) -> bool {
        self.user == user && self.public_key == *key
    }

    /// Asks whether the key would do; if so, `signer` signs.
    fn probe(mut self, signer: Option<SigningKey>) -> Request {
        let key_blob = self.public_key.to_blob();
        self.signer = signer;
        Request {
            payload: encode(&self.user, with_key(&key_blob, None)),
            then: ClientState::ExpectPkOk(Box::new(self)),
        }
    }

    /// The server must mean the key that it was asked about.
    fn check(&self, accepted: &UserauthPkOk<'_>) -> Result<(), PeerFault> {
        let is_ours = accepted.algorithm == SSH_ED25519.as_bytes()
            && accepted.key_blob == self.public_key.to_blob();
        is_ours.then_some(()).ok_or(PeerFault::AcceptedAnotherKey)
    }

    fn signed(&self, key: &SigningKey) -> Request {
        let key_blob = self.public_key.to_blob();
        let signed = request(&self.user, with_key(&key_blob, None)).signed_bytes(
            &self.session_id.0,
            SSH_ED25519,
            &key_blob,
        );
        let signature_blob = key.sign(&signed);
        Request {
            payload: encode(&self.user, with_key(&key_blob, Some(&signature_blob))),
            then: ClientState::ExpectVerdict(AuthMethod::PUBLICKEY),
        }
    }
}

fn with_key<'a>(key_blob: &'a [u8], signature_blob: Option<&'a [u8]>) -> AuthMethod<'a> {
    AuthMethod::Publickey {
        algorithm: SSH_ED25519,
        key_blob,
        signature_blob,
    }
}

/// As a server.
#[derive(Debug)]
pub(super) struct AuthServer {
    state: ServerState,
    pub(super) methods: AuthMethods,
    failures: u32,
    failures_max: u32,
    requests: u32,
    requests_max: u32,
}

#[derive(Debug)]
enum ServerState {
    ExpectServiceRequest,
    ExpectRequest,
    /// The application was asked.
    ExpectAnswer(Asked),
    /// The user is in.
    Done,
}

/// What the application's yes will mean.
#[derive(Debug)]
enum Asked {
    /// That key would do.
    Probe { key_blob: Vec<u8> },
    /// Come in.
    Final,
    /// Nothing: there is no yes to this, and it was asked for the banner's sake.
    Refusal {
        /// Does not count as an attempt.
        is_free: bool,
    },
}

/// Which methods a server lets continue (RFC 4252 §5.1: those that can lead anywhere).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthMethods {
    /// `publickey`.
    pub publickey: bool,
    /// `password`.
    pub password: bool,
}

impl AuthMethods {
    fn names(self) -> &'static str {
        match (self.publickey, self.password) {
            (true, true) => "publickey,password",
            (true, false) => AuthMethod::PUBLICKEY,
            (false, true) => AuthMethod::PASSWORD,
            (false, false) => "",
        }
    }
}

impl AuthServer {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            state: ServerState::ExpectServiceRequest,
            methods: AuthMethods {
                publickey: true,
                password: true,
            },
            failures: 0,
            failures_max: limits.auth_attempts_max,
            requests: 0,
            requests_max: limits.auth_requests_max,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, ServerState::Done)
    }

    pub(super) fn is_asking(&self) -> bool {
        matches!(self.state, ServerState::ExpectAnswer(_))
    }

    pub(super) fn on_message(
        &mut self,
        message: &Message<'_>,
        session_id: &ExchangeHash,
        out: &mut Outbox,
        events: &mut impl Extend<Event>,
    ) -> Result<Taken, PeerFault> {
        self.requests += 1;
        let requests_max = self.requests_max;
        if self.requests > requests_max && !self.is_done() {
            return Err(PeerFault::AskedForAuthTooOften { requests_max });
        }
        match (&self.state, message) {
            (_, Message::ServiceRequest(service)) => self.on_service_request(*service, out),
            (ServerState::ExpectRequest, Message::UserauthRequest(request)) => {
                match question(request, session_id) {
                    Some((question, asked)) => {
                        self.state = ServerState::ExpectAnswer(asked);
                        events.extend([Event::AuthAsked(question)]);
                        Ok(Taken::Yes)
                    }
                    None => self.fail(matches!(request.method, AuthMethod::None), out),
                }
            }
            // To be ignored silently (RFC 4252 §5.1).
            (ServerState::Done, Message::UserauthRequest(_)) => Ok(Taken::Yes),
            (ServerState::ExpectServiceRequest, Message::UserauthRequest(_)) => {
                Err(PeerFault::SentOutOfTurn {
                    got: MessageId::USERAUTH_REQUEST,
                    expected: &[MessageId::SERVICE_REQUEST],
                })
            }
            // What only servers send: never acted on.
            _ => Ok(Taken::NotUnderstood),
        }
    }

    pub(super) fn answer(
        &mut self,
        answer: &AuthAnswer,
        out: &mut Outbox,
    ) -> Result<Result<(), PeerFault>, ApiMisuse> {
        let ServerState::ExpectAnswer(asked) = &self.state else {
            return Err(ApiMisuse::AnsweredNothing);
        };
        if let Some(banner) = &answer.banner {
            let text = banner.as_bytes();
            out.send(&Message::UserauthBanner(UserauthBanner {
                text,
                language: b"",
            }));
        }
        let (accept, is_free) = match asked {
            Asked::Probe { .. } => (answer.accept, true),
            Asked::Final => (answer.accept, false),
            Asked::Refusal { is_free } => (false, *is_free),
        };
        if !accept {
            self.state = ServerState::ExpectRequest;
            return Ok(self.fail(is_free, out).map(|_| ()));
        }
        match std::mem::replace(&mut self.state, ServerState::ExpectRequest) {
            ServerState::ExpectAnswer(Asked::Probe { key_blob }) => {
                let algorithm = SSH_ED25519.as_bytes();
                out.send(&Message::UserauthPkOk(UserauthPkOk {
                    algorithm,
                    key_blob: &key_blob,
                }));
            }
            _ => {
                self.state = ServerState::Done;
                out.send(&Message::UserauthSuccess);
            }
        }
        Ok(Ok(()))
    }

    fn on_service_request(
        &mut self,
        service: Service<'_>,
        out: &mut Outbox,
    ) -> Result<Taken, PeerFault> {
        if service.name != SSH_USERAUTH {
            return Err(PeerFault::AskedForUnknownService {
                name: service.name.to_owned(),
            });
        }
        if matches!(self.state, ServerState::ExpectServiceRequest) {
            self.state = ServerState::ExpectRequest;
        }
        out.send(&Message::ServiceAccept(service));
        Ok(Taken::Yes)
    }

    /// Says no. Only what could have been a guess counts against the limit: `none` asks for the
    /// list, and a probe shows nothing that is secret.
    fn fail(&mut self, is_free: bool, out: &mut Outbox) -> Result<Taken, PeerFault> {
        if !is_free {
            self.failures += 1;
        }
        if self.failures >= self.failures_max {
            return Err(PeerFault::FailedAuthTooOften {
                attempts_max: self.failures_max,
            });
        }
        out.send(&Message::UserauthFailure(UserauthFailure {
            methods: NameList(self.methods.names()),
            partial_success: false,
        }));
        Ok(Taken::Yes)
    }
}

/// What to ask the application about this request; `None` when the answer is no without asking.
fn question(
    request: &UserauthRequest<'_>,
    session_id: &ExchangeHash,
) -> Option<(AuthQuestion, Asked)> {
    let user = Some(request.user).filter(|user| user.len() <= UserauthRequest::USER_BYTES_MAX)?;
    let user = std::str::from_utf8(user).ok()?.to_owned();
    if request.service != SSH_CONNECTION {
        return None;
    }
    match &request.method {
        AuthMethod::Publickey {
            algorithm,
            key_blob,
            signature_blob,
        } => {
            if *algorithm != SSH_ED25519 {
                let algorithm = (*algorithm).to_owned();
                let is_free = signature_blob.is_none();
                return Some((
                    AuthQuestion {
                        user,
                        proof: Proof::OtherKey { algorithm },
                    },
                    Asked::Refusal { is_free },
                ));
            }
            let key = PublicKey::from_blob(key_blob).ok()?;
            let asked = match signature_blob {
                None => Asked::Probe {
                    key_blob: key_blob.to_vec(),
                },
                Some(signature) => {
                    let signed = request.signed_bytes(&session_id.0, algorithm, key_blob);
                    key.verify(&signed, signature).ok()?;
                    Asked::Final
                }
            };
            let signed = signature_blob.is_some();
            Some((
                AuthQuestion {
                    user,
                    proof: Proof::Publickey { key, signed },
                },
                asked,
            ))
        }
        AuthMethod::Password {
            password,
            new_password: None,
        } => {
            let proof = Proof::Password(Password::new(password)?);
            Some((AuthQuestion { user, proof }, Asked::Final))
        }
        AuthMethod::None => {
            let proof = Proof::None;
            Some((
                AuthQuestion { user, proof },
                Asked::Refusal { is_free: true },
            ))
        }
        AuthMethod::Password { .. } | AuthMethod::Other { .. } => None,
    }
}
