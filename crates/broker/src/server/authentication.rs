//! The protocol's way to authenticate: versions, the choice of a mechanism, tokens until both sides are content.
//!
//! Version 0 of the handshake is followed by bare tokens, version 1 by tokens within requests (KIP-43, KIP-152).
//!
//! Invariants: before it is over, only small frames and only these requests are read; a failure is answered after a delay
//! and ends the connection; neither names nor tokens are logged.

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{
    ApiKey, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::{Decodable, StrBytes};
use tokio::time::{sleep, timeout};

use super::connection::{Connection, ConnectionError, Socket};
use super::dispatch::{self, DispatchError};
use super::frame::Pieces;
use super::header::{Asked, Header};
use super::limits::{AUTHENTICATION, FAILED_AUTHENTICATION_DELAY, UNAUTHENTICATED_REQUEST_BYTES};
use super::sasl::{Exchange, SaslError, Step};
use super::{reply, shape, stopping};
use crate::settings::SaslMechanism;

/// Why a client was not let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum AuthenticationError {
    /// It is not who it says it is.
    #[error("authentication by {} failed: {source}", .mechanism.name())]
    Failed {
        /// How it tried.
        mechanism: SaslMechanism,
        /// What was wrong.
        source: SaslError,
    },
    /// It asks for a way that is not offered.
    #[error("authentication by a mechanism that is not offered")]
    Mechanism,
    /// It asks for something else first.
    #[error("request {0} before authentication")]
    Early(i16),
    /// It takes too long.
    #[error("authentication took too long")]
    Slow,
}

/// How far a client is.
enum Stage {
    /// Nothing has been chosen.
    Begin,
    /// Tokens come in requests.
    Framed(SaslMechanism, Exchange),
    /// Tokens come as they are.
    Raw(SaslMechanism, Exchange),
}

impl<S: Socket> Connection<S> {
    /// Lets the client authenticate if it must; `false` if it left, or the broker stops.
    pub(super) async fn authenticate(&mut self) -> Result<bool, ConnectionError> {
        if !self.server.credentials.required() {
            return Ok(true);
        }
        let mut stop = self.stop.clone();
        let user = tokio::select! {
            biased;
            () = stopping(&mut stop) => return Ok(false),
            user = timeout(AUTHENTICATION, self.exchange()) => user.map_err(|_| AuthenticationError::Slow)??,
        };
        self.context.principal = user;
        Ok(self.context.principal.is_some())
    }

    /// The name of the client; nothing if it left.
    async fn exchange(&mut self) -> Result<Option<String>, ConnectionError> {
        let mut stage = Stage::Begin;
        loop {
            let frame = self.frames.next(&mut self.socket, |_| UNAUTHENTICATED_REQUEST_BYTES).await?;
            let Some(mut frame) = frame.map(|frame| frame.bytes) else { return Ok(None) };
            self.server.stats.received(frame.len());
            let user = if let Stage::Raw(mechanism, exchange) = &mut stage {
                let mechanism = *mechanism;
                let step = exchange.step(&self.server.credentials, &frame);
                self.raw_token(mechanism, step).await?
            } else {
                let header = Header::take(&mut frame)?;
                self.server.stats.asked(header.key);
                self.request(&mut stage, &header, frame).await?
            };
            if user.is_some() {
                return Ok(user);
            }
        }
    }

    async fn raw_token(
        &mut self,
        mechanism: SaslMechanism,
        step: Result<Step, SaslError>,
    ) -> Result<Option<String>, ConnectionError> {
        match step {
            Ok(Step::Challenge(challenge)) => {
                self.write(Bytes::from(challenge).into()).await?;
                Ok(None)
            }
            Ok(Step::Done { user, last }) => {
                self.write(Bytes::from(last).into()).await?;
                Ok(Some(user))
            }
            Err(source) => {
                sleep(FAILED_AUTHENTICATION_DELAY).await;
                Err(AuthenticationError::Failed { mechanism, source }.into())
            }
        }
    }

    async fn request(
        &mut self,
        stage: &mut Stage,
        header: &Header,
        body: Bytes,
    ) -> Result<Option<String>, ConnectionError> {
        match (header.asked, &mut *stage) {
            (Asked::Known(ApiKey::SaslHandshake), Stage::Begin) => {
                *stage = self.handshake(header, body).await?;
                Ok(None)
            }
            (Asked::Known(ApiKey::SaslAuthenticate), Stage::Framed(mechanism, exchange)) => {
                let request: SaslAuthenticateRequest = decode(header, body)?;
                let step = exchange.step(&self.server.credentials, &request.auth_bytes);
                self.framed_token(*mechanism, header, step).await
            }
            (
                Asked::Known(ApiKey::ApiVersions | ApiKey::SaslHandshake | ApiKey::SaslAuthenticate)
                | Asked::UnknownVersion(_)
                | Asked::UnknownKey,
                _,
            ) => {
                self.context.api_version = header.version;
                let answer = dispatch::answer(&self.server.shared, &self.context, header, body).await;
                if let Some(pieces) = answer.map_err(|source| refused(header, source))? {
                    self.write(pieces).await?;
                }
                Ok(None)
            }
            (Asked::Known(_), _) => Err(AuthenticationError::Early(header.key).into()),
        }
    }

    /// The client's choice of a mechanism.
    async fn handshake(&mut self, header: &Header, body: Bytes) -> Result<Stage, ConnectionError> {
        let request: SaslHandshakeRequest = decode(header, body)?;
        let chosen = self.server.credentials.offered(&request.mechanism);
        let offered = self.server.credentials.mechanisms().iter();
        let response = SaslHandshakeResponse::default()
            .with_error_code(chosen.map_or(ResponseError::UnsupportedSaslMechanism.code(), |_| 0))
            .with_mechanisms(offered.map(|mechanism| StrBytes::from_static_str(mechanism.name())).collect());
        self.write(encode(header, &response)?).await?;
        let chosen = chosen.ok_or(AuthenticationError::Mechanism)?;
        let exchange = Exchange::new(chosen);
        Ok(match header.version {
            0 => Stage::Raw(chosen, exchange),
            _ => Stage::Framed(chosen, exchange),
        })
    }

    async fn framed_token(
        &mut self,
        mechanism: SaslMechanism,
        header: &Header,
        step: Result<Step, SaslError>,
    ) -> Result<Option<String>, ConnectionError> {
        let (token, outcome) = match step {
            Ok(Step::Challenge(challenge)) => (challenge, Ok(None)),
            Ok(Step::Done { user, last }) => (last, Ok(Some(user))),
            Err(source) => (Vec::new(), Err(AuthenticationError::Failed { mechanism, source })),
        };
        let mut response = SaslAuthenticateResponse::default().with_auth_bytes(token.into());
        if outcome.is_err() {
            sleep(FAILED_AUTHENTICATION_DELAY).await;
            response.error_code = ResponseError::SaslAuthenticationFailed.code();
            response.error_message = Some(StrBytes::from_static_str(FAILED));
        }
        self.write(encode(header, &response)?).await?;
        Ok(outcome?)
    }
}

/// What a client is told whose authentication failed, whatever the reason.
const FAILED: &str = "Authentication failed: invalid credentials";

fn decode<Q: Decodable>(header: &Header, mut body: Bytes) -> Result<Q, ConnectionError> {
    let Asked::Known(key) = header.asked else { unreachable!("only requests that are known are decoded") };
    shape::check(key, header.version, &body)?;
    Q::decode(&mut body, header.version)
        .map_err(|error| refused(header, DispatchError::Undecodable(error.to_string())))
}

fn encode<R>(header: &Header, response: &R) -> Result<Pieces, ConnectionError>
where
    R: kafka_protocol::protocol::Encodable + kafka_protocol::protocol::HeaderVersion,
{
    reply::encode(header.correlation_id, header.version, response)
        .map_err(|error| refused(header, error.into()))
}

fn refused(header: &Header, source: DispatchError) -> ConnectionError {
    ConnectionError::Request { key: header.key, version: header.version, source }
}
