//! TLS 1.3 for the media plane: libp2p's certificate (the peer's key is in it), our own order of ciphers, and the keys that
//! must be the same after a restart.

use std::sync::Arc;

use libp2p_tls::certificate;
use protocol::PeerKey;
use protocol::hash::Hasher;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::crypto::{CryptoError, HmacKey};
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::ALPN;
use crate::identity::{Identity, peer_key_of};

/// A node's certificate and ciphers, made once.
#[derive(Debug)]
pub(crate) struct Tls {
    own: Arc<Own>,
    provider: Arc<CryptoProvider>,
}

/// Something about TLS that is wrong on this machine, not with a peer.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub(crate) struct BadTls(String);

impl Tls {
    pub(crate) fn new(identity: &Identity) -> Result<Self, BadTls> {
        let (certificate, key) =
            certificate::generate(&identity.keypair()).map_err(|e| BadTls(e.to_string()))?;
        let provider = provider(has_aes());
        let key = provider.key_provider.load_private_key(key).map_err(|e| BadTls(e.to_string()))?;
        let own = Own(Arc::new(CertifiedKey::new(vec![certificate], key)));
        Ok(Self { own: Arc::new(own), provider: Arc::new(provider) })
    }

    /// For accepting anybody who can prove a key.
    pub(crate) fn server(&self) -> Result<QuicServerConfig, BadTls> {
        let wrong = |e: Error| BadTls(e.to_string());
        let mut config = rustls::ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(wrong)?
            .with_client_cert_verifier(Arc::new(Verifier { wanted: None, provider: self.provider.clone() }))
            .with_cert_resolver(self.own.clone());
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Connections are kept, so a ticket would never be used.
        config.send_tls13_tickets = 0;
        QuicServerConfig::try_from(config).map_err(|e| BadTls(e.to_string()))
    }

    /// For dialling `peer` and nobody else.
    pub(crate) fn client(&self, peer: PeerKey) -> Result<QuicClientConfig, BadTls> {
        let wrong = |e: Error| BadTls(e.to_string());
        let verifier = Verifier { wanted: Some(peer), provider: self.provider.clone() };
        let mut config = rustls::ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(wrong)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(self.own.clone());
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.enable_sni = false;
        config.resumption = rustls::client::Resumption::disabled();
        QuicClientConfig::try_from(config).map_err(|e| BadTls(e.to_string()))
    }
}

/// This node's certificate, for everybody who asks. rustls would check it as a certificate of the web first, which it is
/// not: libp2p's extension is critical.
#[derive(Debug)]
struct Own(Arc<CertifiedKey>);

impl ResolvesServerCert for Own {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

impl ResolvesClientCert for Own {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Whether the CPU has instructions for AES; without them ChaCha20 is the faster cipher.
fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[allow(unreachable_code)]
    false
}

/// TLS 1.3 suites, the cheapest on this CPU first. A server follows the client's order, so both sides ask for what suits
/// the sender of most bytes.
fn provider(aes: bool) -> CryptoProvider {
    let mut provider = default_provider();
    let (gcm128, gcm256) = (cipher_suite::TLS13_AES_128_GCM_SHA256, cipher_suite::TLS13_AES_256_GCM_SHA384);
    let chacha = cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
    provider.cipher_suites = if aes { vec![gcm128, gcm256, chacha] } else { vec![chacha, gcm128, gcm256] };
    provider
}

/// The key that the other side of a connection has proved to own.
pub(crate) fn peer_of(connection: &quinn::Connection) -> Option<PeerKey> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    peer_in(chain.first()?).ok()
}

fn peer_in(end_entity: &CertificateDer<'_>) -> Result<PeerKey, Error> {
    let parsed = certificate::parse(end_entity).map_err(|e| Error::General(e.to_string()))?;
    peer_key_of(&parsed.peer_id()).ok_or_else(|| Error::General("the peer's key is not ed25519".into()))
}

/// libp2p's rules for certificates (libp2p specs, tls/tls.md): exactly one, self-signed, with the extension that binds it to
/// the node's key; and, when dialling, to the wanted key.
#[derive(Debug)]
struct Verifier {
    wanted: Option<PeerKey>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), Error> {
        if !intermediates.is_empty() {
            return Err(Error::General("more than one certificate".into()));
        }
        let peer = peer_in(end_entity)?;
        match self.wanted {
            Some(wanted) if wanted != peer => {
                Err(Error::General(format!("another node answers at this address: {peer}")))
            }
            _ => Ok(()),
        }
    }

    fn signature(
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        certificate::parse(certificate)
            .map_err(|e| Error::General(e.to_string()))?
            .verify_signature(signed.scheme, message, signed.signature())
            .map_err(|e| Error::General(e.to_string()))?;
        Ok(HandshakeSignatureValid::assertion())
    }

    fn never_tls12() -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, intermediates).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::never_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity, intermediates).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::never_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

// === Keys that survive a restart ===

/// Signs stateless reset tokens (RFC 9000 10.3). Derived from the identity, so that a restarted node can tell its peers at
/// once that their connections are gone. Keccak is a sponge: a keyed prefix is a MAC.
pub(crate) struct ResetKey([u8; 32]);

impl ResetKey {
    pub(crate) fn of(identity: &Identity) -> Self {
        Self(derive(identity, b"livemesh media reset key v1"))
    }
}

fn derive(identity: &Identity, label: &[u8]) -> [u8; 32] {
    let mut hasher = Hasher::new();
    hasher.update(&identity.signing_key().to_bytes());
    hasher.update(label);
    hasher.finish().0
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], out: &mut [u8]) {
        let mut hasher = Hasher::new();
        hasher.update(&self.0);
        hasher.update(data);
        for (to, from) in out.iter_mut().zip(hasher.finish().0) {
            *to = from;
        }
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let mut own = [0; 32];
        self.sign(data, &mut own);
        let differences = own.iter().zip(signature).fold(0, |all, (a, b)| all | (a ^ b));
        if signature.len() == own.len() && differences == 0 { Ok(()) } else { Err(CryptoError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarted_node_signs_the_same_reset_tokens() {
        let token = |seed| {
            let mut out = [0; 32];
            ResetKey::of(&Identity::from_seed([seed; 32])).sign(b"connection", &mut out);
            out
        };
        assert_eq!(token(1), token(1));
        assert_ne!(token(1), token(2));
        let key = ResetKey::of(&Identity::from_seed([1; 32]));
        assert!(key.verify(b"connection", &token(1)).is_ok());
        assert!(key.verify(b"connection", &token(2)).is_err());
        assert!(key.verify(b"connection", &token(1)[..16]).is_err());
    }

    #[test]
    fn aes_comes_first_where_the_cpu_has_it() {
        let first = |aes| provider(aes).cipher_suites[0].suite();
        assert_eq!(first(true), rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
        assert_eq!(first(false), rustls::CipherSuite::TLS13_CHACHA20_POLY1305_SHA256);
    }
}
