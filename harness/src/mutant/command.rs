//! The few commands that scenarios run, without a shell: so that a mutant starts no process.

use std::collections::VecDeque;
use std::time::Duration;

/// One thing that a command does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    Print(Vec<u8>),
    Complain(Vec<u8>),
    /// Echo the input up to its end.
    Cat,
    /// Take so much input, and print how much it was.
    Count(usize),
    /// Print a line for ever.
    Flood,
    /// As a client: say that there is no more input.
    EndInput,
    /// Wait for a line of input.
    ReadLine,
    /// Print the size of the terminal.
    PrintSize,
    /// End with this status at the signal USR1.
    Trap(u32),
    Sleep(Duration),
    /// Start a process that does nothing for so long, and holds the output meanwhile.
    LeaveBehind(Duration),
    CloseOutput,
    Exit(u32),
    Die(&'static str),
}

/// What a command line does, up to its end.
pub(super) fn parse(line: &[u8]) -> VecDeque<Op> {
    let statements = line.split(|byte| *byte == b';');
    let mut ops: VecDeque<Op> = statements
        .flat_map(|text| {
            let background = text.windows(3).position(|three| three == b" & ");
            let (first, then) = text.split_at(background.map_or(text.len(), |at| at + 2));
            [first, then]
        })
        .filter_map(|text| statement(text.trim_ascii()))
        .collect();
    ops.push_back(Op::Exit(0));
    ops
}

fn statement(text: &[u8]) -> Option<Op> {
    let (text, to_stderr) = match text.strip_suffix(b">&2") {
        Some(text) => (text.trim_ascii(), true),
        None => (text, false),
    };
    let print = |bytes: Vec<u8>| {
        if to_stderr {
            Op::Complain(bytes)
        } else {
            Op::Print(bytes)
        }
    };
    let number = |text: &[u8]| String::from_utf8_lossy(text).parse::<u32>().unwrap_or(0);
    if let Some(bytes) = text.strip_prefix(b"seq 9999999 | head -c ") {
        return Some(print(numbers(number(bytes) as usize)));
    }
    if let Some(rest) = text.strip_prefix(b"head -c ") {
        let bytes = rest.strip_suffix(b" | wc -c").unwrap_or(rest);
        return Some(Op::Count(number(bytes) as usize));
    }
    if let Some(seconds) = text.strip_prefix(b"sleep ") {
        let (seconds, op): (_, fn(Duration) -> Op) = match seconds.strip_suffix(b" &") {
            Some(seconds) => (seconds, Op::LeaveBehind),
            None => (seconds, Op::Sleep),
        };
        let seconds = String::from_utf8_lossy(seconds).parse().unwrap_or(0.0);
        return Some(op(Duration::from_secs_f64(seconds)));
    }
    if let Some(said) = text.strip_prefix(b"printf ") {
        return Some(print(said.to_vec()));
    }
    if let Some(said) = text.strip_prefix(b"echo ") {
        return Some(print([said, b"\n"].concat()));
    }
    if let Some(status) = text.strip_prefix(b"exit ") {
        return Some(Op::Exit(number(status)));
    }
    match text {
        b"cat" => Some(Op::Cat),
        // For ever, which here means for input that does not come.
        b"read line" | b"while :" => Some(Op::ReadLine),
        b"stty size" => Some(Op::PrintSize),
        b"trap 'exit 7' USR1" => Some(Op::Trap(7)),
        b"yes" => Some(Op::Flood),
        b"exec >&- 2>&-" => Some(Op::CloseOutput),
        b"kill -KILL $$" => Some(Op::Die("KILL")),
        _ => None,
    }
}

/// The numbers from 1, a line each, cut at that many bytes.
fn numbers(bytes: usize) -> Vec<u8> {
    let lines = (1_u32..).flat_map(|number| format!("{number}\n").into_bytes());
    lines.take(bytes).collect()
}
