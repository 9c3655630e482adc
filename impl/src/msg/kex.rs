//! Messages of the key exchange (RFC 4253 §7.1, RFC 5656 §4 as RFC 8731 uses it).

use crate::wire::{DecodeError, NameList, Reader, Writer};

/// `SSH_MSG_KEXINIT` (20): what the sender offers (RFC 4253 §7.1).
///
/// Its payload enters the exchange hash byte for byte, so keep that beside the decoded form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KexInit<'a> {
    /// Random bytes that neither side controls alone.
    pub cookie: [u8; 16],
    /// `kex_algorithms`, markers included.
    pub kex: NameList<'a>,
    /// `server_host_key_algorithms`.
    pub host_key: NameList<'a>,
    /// `encryption_algorithms_client_to_server`.
    pub cipher_c2s: NameList<'a>,
    /// `encryption_algorithms_server_to_client`.
    pub cipher_s2c: NameList<'a>,
    /// `mac_algorithms_client_to_server`.
    pub mac_c2s: NameList<'a>,
    /// `mac_algorithms_server_to_client`.
    pub mac_s2c: NameList<'a>,
    /// `compression_algorithms_client_to_server`.
    pub compression_c2s: NameList<'a>,
    /// `compression_algorithms_server_to_client`.
    pub compression_s2c: NameList<'a>,
    /// `languages_client_to_server`.
    pub languages_c2s: NameList<'a>,
    /// `languages_server_to_client`.
    pub languages_s2c: NameList<'a>,
    /// A guessed key exchange packet follows.
    pub first_kex_packet_follows: bool,
    /// Zero by the RFC; whatever it is, it is hashed and otherwise not looked at.
    pub reserved: u32,
}

impl<'a> KexInit<'a> {
    /// Our bound for one list, in bytes; OpenSSH's full list of today takes about 500.
    pub const LIST_BYTES_MAX: usize = 65_536;

    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let list = |r: &mut Reader<'a>, field| r.name_list(field, Self::LIST_BYTES_MAX);
        let message = Self {
            cookie: r.array("cookie")?,
            kex: list(&mut r, "kex_algorithms")?,
            host_key: list(&mut r, "server_host_key_algorithms")?,
            cipher_c2s: list(&mut r, "encryption_algorithms_client_to_server")?,
            cipher_s2c: list(&mut r, "encryption_algorithms_server_to_client")?,
            mac_c2s: list(&mut r, "mac_algorithms_client_to_server")?,
            mac_s2c: list(&mut r, "mac_algorithms_server_to_client")?,
            compression_c2s: list(&mut r, "compression_algorithms_client_to_server")?,
            compression_s2c: list(&mut r, "compression_algorithms_server_to_client")?,
            languages_c2s: list(&mut r, "languages_client_to_server")?,
            languages_s2c: list(&mut r, "languages_server_to_client")?,
            first_kex_packet_follows: r.bool("first_kex_packet_follows")?,
            reserved: r.u32("reserved")?,
        };
        r.finish("KEXINIT")?;
        Ok(message)
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.raw(&self.cookie)
            .name_list(self.kex)
            .name_list(self.host_key)
            .name_list(self.cipher_c2s)
            .name_list(self.cipher_s2c)
            .name_list(self.mac_c2s)
            .name_list(self.mac_s2c)
            .name_list(self.compression_c2s)
            .name_list(self.compression_s2c)
            .name_list(self.languages_c2s)
            .name_list(self.languages_s2c)
            .bool(self.first_kex_packet_follows)
            .u32(self.reserved);
    }
}

/// `SSH_MSG_KEX_ECDH_INIT` (30): the client's share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcdhInit<'a> {
    /// Q_C; its length is judged by the key agreement.
    pub share: &'a [u8],
}

impl<'a> EcdhInit<'a> {
    /// Our bound for a share, in bytes; X25519 takes 32.
    pub const SHARE_BYTES_MAX: usize = 8_192;

    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let message = Self {
            share: r.string("Q_C", Self::SHARE_BYTES_MAX)?,
        };
        r.finish("KEX_ECDH_INIT")?;
        Ok(message)
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.string(self.share);
    }
}

/// `SSH_MSG_KEX_ECDH_REPLY` (31): the server's host key, share and signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcdhReply<'a> {
    /// K_S.
    pub host_key_blob: &'a [u8],
    /// Q_S; its length is judged by the key agreement.
    pub share: &'a [u8],
    /// Over the exchange hash.
    pub signature_blob: &'a [u8],
}

impl<'a> EcdhReply<'a> {
    /// Our bound for the host key and the signature, in bytes.
    pub const BLOB_BYTES_MAX: usize = 32_768;

    /// Reads the fields after the message number.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let message = Self {
            host_key_blob: r.string("K_S", Self::BLOB_BYTES_MAX)?,
            share: r.string("Q_S", EcdhInit::SHARE_BYTES_MAX)?,
            signature_blob: r.string("signature", Self::BLOB_BYTES_MAX)?,
        };
        r.finish("KEX_ECDH_REPLY")?;
        Ok(message)
    }

    /// Appends the fields after the message number.
    pub fn encode(&self, w: &mut Writer) {
        w.string(self.host_key_blob)
            .string(self.share)
            .string(self.signature_blob);
    }
}
