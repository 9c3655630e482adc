//! User authentication (RFC 4252): one of the few places where client and server differ.

use zeroize::Zeroizing;

use super::event::{AuthAnswer, AuthQuestion, Event, Password, Proof};
use super::outbox::Outbox;
use super::{ApiMisuse, PeerFault};
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
    /// A key.
    Publickey(SigningKey),
    /// A password.
    Password(Password),
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
}

#[derive(Debug)]
enum ClientState {
    /// `ssh-userauth` was not asked for yet.
    NoService,
    /// It was, and this request waits for it. It may hold a password.
    ExpectServiceAccept(Zeroizing<Vec<u8>>),
    /// Nothing is under way.
    Ready,
    /// A request is under way, by this method.
    ExpectVerdict(&'static str),
    /// We are in.
    Done,
}

impl AuthClient {
    pub(super) fn new() -> Self {
        Self {
            state: ClientState::NoService,
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
        match self.state {
            ClientState::NoService => {
                let request = encode_request(user, credential, session_id);
                out.send(&Message::ServiceRequest(Service { name: SSH_USERAUTH }));
                self.state = ClientState::ExpectServiceAccept(request);
                Ok(())
            }
            ClientState::Ready => {
                self.send(&encode_request(user, credential, session_id), out);
                Ok(())
            }
            ClientState::ExpectServiceAccept(_) | ClientState::ExpectVerdict(_) => {
                Err(ApiMisuse::AuthenticatedTwiceAtOnce)
            }
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
            (ClientState::ExpectServiceAccept(payload), Message::ServiceAccept(_)) => {
                self.send(&payload, out);
            }
            (ClientState::ExpectVerdict(_), Message::UserauthSuccess) => {
                self.state = ClientState::Done;
                events.extend([Event::AuthSucceeded]);
            }
            (ClientState::ExpectVerdict(_), Message::UserauthFailure(failure)) => {
                events.extend([Event::AuthFailed {
                    methods: failure.methods.iter().map(str::to_owned).collect(),
                    partial_success: failure.partial_success,
                }]);
            }
            // The server wants a new password, and we have none to offer: this one will not do.
            (ClientState::ExpectVerdict(AuthMethod::PASSWORD), Message::UserauthPkOk(_)) => {
                events.extend([Event::AuthFailed {
                    methods: vec![],
                    partial_success: false,
                }]);
            }
            (ClientState::Done, _) => {
                self.state = ClientState::Done;
                return Ok(Taken::NotUnderstood);
            }
            (state, Message::UserauthBanner(banner)) => {
                self.state = state;
                events.extend([Event::BannerReceived(banner.text.to_vec())]);
            }
            (state, message) => return Self::refuse(&state, message.id()),
        }
        Ok(Taken::Yes)
    }

    /// Sends a request that [`encode_request`] made, so that it decodes.
    fn send(&mut self, payload: &[u8], out: &mut Outbox) {
        if let Ok(Message::UserauthRequest(request)) = Message::decode(payload) {
            self.state = ClientState::ExpectVerdict(match request.method {
                AuthMethod::Password { .. } => AuthMethod::PASSWORD,
                _ => AuthMethod::PUBLICKEY,
            });
            out.send(&Message::UserauthRequest(request));
        }
    }

    fn refuse(state: &ClientState, got: MessageId) -> Result<Taken, PeerFault> {
        let expected: &'static [MessageId] = match state {
            ClientState::ExpectServiceAccept(_) => &[MessageId::SERVICE_ACCEPT],
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

/// The payload of a request; it may hold a password.
fn encode_request(
    user: &str,
    credential: &Credential,
    session_id: &ExchangeHash,
) -> Zeroizing<Vec<u8>> {
    let request = |method| UserauthRequest {
        user: user.as_bytes(),
        service: SSH_CONNECTION,
        method,
    };
    let encode = |request| Zeroizing::new(Message::UserauthRequest(request).to_payload());
    match credential {
        Credential::Password(password) => encode(request(AuthMethod::Password {
            password: password.expose(),
            new_password: None,
        })),
        Credential::Publickey(key) => {
            let key_blob = key.public_key().to_blob();
            let unsigned = request(AuthMethod::Publickey {
                algorithm: SSH_ED25519,
                key_blob: &key_blob,
                signature_blob: None,
            });
            let signed = unsigned.signed_bytes(&session_id.0, SSH_ED25519, &key_blob);
            encode(request(AuthMethod::Publickey {
                algorithm: SSH_ED25519,
                key_blob: &key_blob,
                signature_blob: Some(&key.sign(&signed)),
            }))
        }
    }
}

/// As a server.
#[derive(Debug)]
pub(super) struct AuthServer {
    state: ServerState,
    failures: u32,
    failures_max: u32,
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

/// What we let continue: one choice of everything leaves these two.
const METHODS: &str = "publickey,password";

impl AuthServer {
    pub(super) fn new(failures_max: u32) -> Self {
        Self {
            state: ServerState::ExpectServiceRequest,
            failures: 0,
            failures_max,
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
            methods: NameList(METHODS),
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
    let user = std::str::from_utf8(request.user).ok()?.to_owned();
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
