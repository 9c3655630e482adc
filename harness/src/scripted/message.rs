//! Messages as a verb and its fields: encoded, decoded and shown by the table of verbs.
//!
//! Shares no code with the codecs under test. It forges what they would never send, and it would
//! be no judge of them if it made the same mistakes.

use std::fmt::Write as _;

use minissh::msg::MessageId;
use minissh::trace::Field;
use minissh::wire::{DecodeError, Reader, Writer};

use crate::scenario::Value;
use crate::scenario::verbs::{FieldSpec, Kind, Shown, Verb};

/// Longest string that is taken, in bytes: as long as a packet may be.
const STRING_BYTES_MAX: usize = super::packets::PACKET_BYTES_MAX;

/// Longest value that is shown, in bytes.
const SHOWN_BYTES_MAX: usize = 64;

/// A message, or a line before the packets, with the fields that are present.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    pub(super) verb: &'static Verb,
    pub(super) fields: Vec<(&'static FieldSpec, Value)>,
}

impl Message {
    pub(super) fn new(verb: &'static Verb) -> Self {
        Self {
            verb,
            fields: Vec::new(),
        }
    }

    /// What a payload says.
    pub(super) fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let verb = Verb::of(MessageId(reader.u8("message number")?));
        if verb == Verb::raw() {
            return Ok(Self::raw(payload));
        }
        match Self::decode_as(verb, reader) {
            // The number is of another method then, such as INFO_REQUEST (RFC 4256 §3.2).
            Err(_) if verb.message == Some(MessageId::USERAUTH_PK_OK) => Ok(Self::raw(payload)),
            decoded => decoded,
        }
    }

    fn decode_as(verb: &'static Verb, mut reader: Reader<'_>) -> Result<Self, DecodeError> {
        let mut message = Self::new(verb);
        for field in verb.fields {
            if field.kind.is_on_the_wire() && message.has(field) {
                let value = read(&mut reader, field)?;
                message.fields.push((field, value));
            }
        }
        reader.finish(verb.name)?;
        Ok(message)
    }

    /// A payload that nothing is known of.
    pub(super) fn raw(payload: &[u8]) -> Self {
        let fields = Verb::raw()
            .fields
            .iter()
            .map(|f| (f, Value::Bytes(payload.to_vec())));
        Self {
            verb: Verb::raw(),
            fields: fields.collect(),
        }
    }

    /// Any message, by its number.
    pub(super) fn numbered(payload: &[u8]) -> Option<Self> {
        let verb = Verb::named("message")?;
        let (number, body) = payload.split_first()?;
        let values = [Value::Number((*number).into()), Value::Bytes(body.to_vec())];
        Some(Self {
            verb,
            fields: verb.fields.iter().zip(values).collect(),
        })
    }

    /// A line before the packets.
    pub(super) fn line(verb: &'static Verb, text: &[u8]) -> Self {
        let fields = verb
            .unnamed_field()
            .map(|f| (f, Value::Text(text.to_vec())));
        Self {
            verb,
            fields: fields.into_iter().collect(),
        }
    }

    /// The payload, as far as the fields go.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        if let Some(id) = self.verb.message {
            writer.u8(id.0);
        }
        for (field, value) in &self.fields {
            write(&mut writer, field.kind, value);
        }
        writer.into_bytes()
    }

    /// Whether the field's condition holds, given the fields before it.
    pub(super) fn has(&self, field: &FieldSpec) -> bool {
        field.when.is_none_or(|when| match self.value(when.field) {
            Some(Value::Flag(flag)) => when.is.contains(&if *flag { "yes" } else { "no" }),
            Some(value) => when.is.iter().any(|is| is.as_bytes() == bytes_of(value)),
            None => false,
        })
    }

    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.fields
            .iter()
            .find(|(field, _)| field.name == name)
            .map(|(_, value)| value)
    }

    /// The bytes of a text or blob; empty when it is absent.
    pub(super) fn bytes(&self, name: &str) -> &[u8] {
        self.value(name).map_or(&[], bytes_of)
    }

    pub(super) fn number(&self, name: &str) -> Option<u32> {
        match self.value(name) {
            Some(Value::Number(number)) => u32::try_from(*number).ok(),
            _ => None,
        }
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Flag(true)))
    }

    pub(super) fn names(&self, name: &str) -> &[String] {
        match self.value(name) {
            Some(Value::Names(names)) => names,
            _ => &[],
        }
    }

    pub(super) fn is(&self, verb: &str) -> bool {
        self.verb.name == verb
    }

    /// Whether RFC 4253 §7.1 lets it come between KEXINIT and NEWKEYS beside the exchange itself.
    pub(super) fn goes_beside_kex(&self) -> bool {
        const TRANSPORT_MAX: u8 = 19;
        let is_service = self.is("service-request") || self.is("service-accept");
        let id = self.verb.message.map(|id| id.0);
        id.is_some_and(|id| id <= TRANSPORT_MAX) && !is_service
    }

    /// The fields for a trace, redacted.
    pub(super) fn describe(&self) -> Vec<Field> {
        let on_the_wire = self
            .fields
            .iter()
            .filter(|(field, _)| field.kind.is_on_the_wire());
        // Empty name-lists and rests say nothing and would fill the line.
        let telling = on_the_wire.filter(|(field, value)| match value {
            Value::Names(names) => !names.is_empty(),
            Value::Bytes(bytes) => field.kind != Kind::Rest || !bytes.is_empty(),
            _ => true,
        });
        telling
            .map(|(field, value)| Field {
                name: field.name,
                value: show(field, value),
            })
            .collect()
    }
}

fn read(reader: &mut Reader<'_>, field: &'static FieldSpec) -> Result<Value, DecodeError> {
    let name = field.name;
    Ok(match field.kind {
        Kind::Boolean => Value::Flag(reader.bool(name)?),
        Kind::Uint32 | Kind::SequenceNumber => Value::Number(reader.u32(name)?.into()),
        Kind::Text => Value::Text(reader.string(name, STRING_BYTES_MAX)?.to_vec()),
        Kind::Blob => Value::Bytes(reader.string(name, STRING_BYTES_MAX)?.to_vec()),
        Kind::Names => Value::Names(names(reader.string(name, STRING_BYTES_MAX)?)),
        Kind::Fixed(bytes) => Value::Bytes(reader.bytes(name, bytes)?.to_vec()),
        Kind::Byte => Value::Number(reader.u8(name)?.into()),
        // What is not on the wire is not asked for.
        _ => Value::Bytes(reader.rest().to_vec()),
    })
}

fn names(list: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(list);
    if text.is_empty() {
        Vec::new()
    } else {
        text.split(',').map(str::to_owned).collect()
    }
}

fn write(writer: &mut Writer, kind: Kind, value: &Value) {
    match (kind, value) {
        (Kind::Line, _) => {}
        (kind, _) if !kind.is_on_the_wire() => {}
        (Kind::Fixed(_) | Kind::Rest, _) => {
            writer.raw(bytes_of(value));
        }
        (_, Value::Flag(flag)) => {
            writer.bool(*flag);
        }
        // The checker lets through only what fits.
        (Kind::Boolean | Kind::Byte, Value::Number(number)) => {
            writer.u8(u8::try_from(*number).unwrap_or(u8::MAX));
        }
        (_, Value::Number(number)) => {
            writer.u32(u32::try_from(*number).unwrap_or(u32::MAX));
        }
        (_, Value::Names(names)) => {
            writer.string(names.join(",").as_bytes());
        }
        (_, Value::Text(bytes) | Value::Bytes(bytes)) => {
            writer.string(bytes);
        }
        // Only fields that are not on the wire have these.
        // And variables have been given their values.
        (
            _,
            Value::Offset(_)
            | Value::Duration(_)
            | Value::Flips(_)
            | Value::Patch(..)
            | Value::Variable { .. },
        ) => {}
    }
}

/// The bytes of a text or blob value.
pub(super) fn bytes_of(value: &Value) -> &[u8] {
    match value {
        Value::Text(bytes) | Value::Bytes(bytes) => bytes,
        _ => &[],
    }
}

fn show(field: &FieldSpec, value: &Value) -> String {
    match (field.shown, value) {
        (Shown::Nothing, _) => "[redacted]".to_owned(),
        (Shown::Length, _) => format!("{} bytes", bytes_of(value).len()),
        (Shown::Value, Value::Number(number)) => number.to_string(),
        (Shown::Value, Value::Flag(flag)) => if *flag { "yes" } else { "no" }.to_owned(),
        (Shown::Value, Value::Names(names)) => names.join(",").escape_debug().to_string(),
        (Shown::Value, Value::Text(text)) => show_text(text),
        (Shown::Value, value) => show_hex(bytes_of(value)),
    }
}

fn show_text(text: &[u8]) -> String {
    match text.get(..SHOWN_BYTES_MAX) {
        Some(start) if text.len() > SHOWN_BYTES_MAX => {
            format!("\"{}\"..{}", start.escape_ascii(), text.len())
        }
        _ => format!("\"{}\"", text.escape_ascii()),
    }
}

/// The end of the bytes: keys and signatures begin with their type.
fn show_hex(bytes: &[u8]) -> String {
    /// Enough to tell one from another.
    const HEX_BYTES_MAX: usize = 16;

    let cut = bytes.len().saturating_sub(HEX_BYTES_MAX);
    let mut shown = if cut == 0 { "#" } else { "#.." }.to_owned();
    for byte in bytes.iter().skip(cut) {
        // Writing to a string cannot fail.
        let _ = write!(shown, "{byte:02x}");
    }
    shown
}
