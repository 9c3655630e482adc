//! The values that steps refer to: what earlier lines received, and what the endpoint knows.

use std::borrow::Cow;

use super::Stop;
use super::endpoint::Endpoint;
use super::message::Message;
use crate::scenario::{FieldSetting, FieldTest, MessagePattern, Send, Value};

impl Endpoint<'_> {
    /// A line with the values of its variables.
    pub(super) fn resolved<'s>(&self, send: &'s Send) -> Result<Cow<'s, Send>, Stop> {
        let has_one = |field: &FieldSetting| matches!(field.value, Value::Variable { .. });
        if !send.fields.iter().any(has_one) {
            return Ok(Cow::Borrowed(send));
        }
        let on = send.fields.iter().find(|field| field.name == "on");
        let on = on
            .map(|field| self.value_of(&field.value, None))
            .transpose()?;
        let on = on.as_deref().and_then(number);
        let mut send = send.clone();
        for field in &mut send.fields {
            field.value = self.value_of(&field.value, on)?.into_owned();
        }
        Ok(Cow::Owned(send))
    }

    /// What a value stands for; `on` is the number of the channel that it is about.
    pub(super) fn value_of<'v>(
        &self,
        value: &'v Value,
        on: Option<u32>,
    ) -> Result<Cow<'v, Value>, Stop> {
        let Value::Variable { name, plus } = value else {
            return Ok(Cow::Borrowed(value));
        };
        let flow = self.flows.get(on);
        let known = match name.as_str() {
            "last" => Some(Value::Number(self.last_sequence_number.into())),
            "round" => self.rounds.last().map(|round| Value::Number(*round)),
            "window" => flow.map(|flow| Value::Number(flow.window_bytes().into())),
            "packet-max" => flow.map(|flow| Value::Number(flow.packet_bytes_max().into())),
            name => self.variables.get(name).cloned(),
        };
        match known {
            Some(Value::Number(known)) => {
                let number = u32::try_from(known).unwrap_or(u32::MAX);
                // It fits by its notation.
                let plus = u32::try_from(plus.rem_euclid(1 << 32)).unwrap_or_default();
                Ok(Cow::Owned(Value::Number(number.wrapping_add(plus).into())))
            }
            Some(known) => Ok(Cow::Owned(known)),
            None => Err(Stop::broken(format!("`${name}` has no value here"))),
        }
    }

    /// Keeps what a line asks to be kept of a message.
    pub(super) fn bind(&mut self, message: &Message, pattern: &MessagePattern) {
        for field in &pattern.fields {
            if let (FieldTest::Bind(name), Some(value)) = (&field.test, message.value(&field.name))
            {
                self.variables.insert(name.clone(), value.clone());
            }
        }
    }
}

fn number(value: &Value) -> Option<u32> {
    match value {
        Value::Number(number) => u32::try_from(*number).ok(),
        _ => None,
    }
}
