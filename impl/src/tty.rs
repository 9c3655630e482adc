//! Terminals of this machine: their modes as SSH says them, their size, and raw mode.

use std::io;
use std::os::fd::AsFd;

use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios,
    tcgetattr, tcgetwinsize, tcsetattr,
};

use crate::net::{TerminalMode, TerminalSize};

/// `TTY_OP_ISPEED`, in bits per second.
const INPUT_SPEED: u8 = 128;

/// `TTY_OP_OSPEED`, in bits per second.
const OUTPUT_SPEED: u8 = 129;

/// What a mode stands for on this system.
#[derive(Clone, Copy)]
enum Mode {
    Character(SpecialCodeIndex),
    Input(InputModes),
    Local(LocalModes),
    Output(OutputModes),
    Control(ControlModes),
}

/// The opcodes of RFC 4254 §8, and `IUTF8` of RFC 8160, that systems of today know.
const MODES: &[(u8, Mode)] = &[
    (1, Mode::Character(SpecialCodeIndex::VINTR)),
    (2, Mode::Character(SpecialCodeIndex::VQUIT)),
    (3, Mode::Character(SpecialCodeIndex::VERASE)),
    (4, Mode::Character(SpecialCodeIndex::VKILL)),
    (5, Mode::Character(SpecialCodeIndex::VEOF)),
    (6, Mode::Character(SpecialCodeIndex::VEOL)),
    (7, Mode::Character(SpecialCodeIndex::VEOL2)),
    (8, Mode::Character(SpecialCodeIndex::VSTART)),
    (9, Mode::Character(SpecialCodeIndex::VSTOP)),
    (10, Mode::Character(SpecialCodeIndex::VSUSP)),
    (12, Mode::Character(SpecialCodeIndex::VREPRINT)),
    (13, Mode::Character(SpecialCodeIndex::VWERASE)),
    (14, Mode::Character(SpecialCodeIndex::VLNEXT)),
    (18, Mode::Character(SpecialCodeIndex::VDISCARD)),
    (30, Mode::Input(InputModes::IGNPAR)),
    (31, Mode::Input(InputModes::PARMRK)),
    (32, Mode::Input(InputModes::INPCK)),
    (33, Mode::Input(InputModes::ISTRIP)),
    (34, Mode::Input(InputModes::INLCR)),
    (35, Mode::Input(InputModes::IGNCR)),
    (36, Mode::Input(InputModes::ICRNL)),
    (38, Mode::Input(InputModes::IXON)),
    (39, Mode::Input(InputModes::IXANY)),
    (40, Mode::Input(InputModes::IXOFF)),
    (41, Mode::Input(InputModes::IMAXBEL)),
    (42, Mode::Input(InputModes::IUTF8)),
    (50, Mode::Local(LocalModes::ISIG)),
    (51, Mode::Local(LocalModes::ICANON)),
    (53, Mode::Local(LocalModes::ECHO)),
    (54, Mode::Local(LocalModes::ECHOE)),
    (55, Mode::Local(LocalModes::ECHOK)),
    (56, Mode::Local(LocalModes::ECHONL)),
    (57, Mode::Local(LocalModes::NOFLSH)),
    (58, Mode::Local(LocalModes::TOSTOP)),
    (59, Mode::Local(LocalModes::IEXTEN)),
    (60, Mode::Local(LocalModes::ECHOCTL)),
    (61, Mode::Local(LocalModes::ECHOKE)),
    (62, Mode::Local(LocalModes::PENDIN)),
    (70, Mode::Output(OutputModes::OPOST)),
    (72, Mode::Output(OutputModes::ONLCR)),
    (73, Mode::Output(OutputModes::OCRNL)),
    (74, Mode::Output(OutputModes::ONOCR)),
    (75, Mode::Output(OutputModes::ONLRET)),
    (90, Mode::Control(ControlModes::CS7)),
    (91, Mode::Control(ControlModes::CS8)),
    (92, Mode::Control(ControlModes::PARENB)),
    (93, Mode::Control(ControlModes::PARODD)),
];

/// How SSH says that a character is not used (RFC 4254 §8); POSIX systems say 0.
const NO_CHARACTER: u32 = 255;

/// The modes of this terminal.
///
/// # Errors
/// When it is no terminal.
pub fn modes(terminal: impl AsFd) -> io::Result<Vec<TerminalMode>> {
    let termios = tcgetattr(terminal)?;
    let mut modes = vec![
        (INPUT_SPEED, termios.input_speed()),
        (OUTPUT_SPEED, termios.output_speed()),
    ];
    modes.extend(
        MODES
            .iter()
            .map(|(opcode, mode)| (*opcode, mode.of(&termios))),
    );
    Ok(modes)
}

/// Sets these modes; what this system does not know is left alone.
///
/// # Errors
/// When it is no terminal.
pub fn set_modes(terminal: impl AsFd, modes: &[TerminalMode]) -> io::Result<()> {
    let mut termios = tcgetattr(&terminal)?;
    for (opcode, argument) in modes {
        match *opcode {
            // A speed that the system does not have is of no consequence on a pseudo-terminal.
            INPUT_SPEED => drop(termios.set_input_speed(*argument)),
            OUTPUT_SPEED => drop(termios.set_output_speed(*argument)),
            opcode => {
                let known = MODES.iter().find(|(known, _)| *known == opcode);
                if let Some((_, mode)) = known {
                    mode.set(&mut termios, *argument);
                }
            }
        }
    }
    Ok(tcsetattr(terminal, OptionalActions::Now, &termios)?)
}

impl Mode {
    fn of(self, termios: &Termios) -> u32 {
        match self {
            Self::Character(index) => match termios.special_codes[index] {
                0 => NO_CHARACTER,
                character => character.into(),
            },
            Self::Input(flag) => termios.input_modes.contains(flag).into(),
            Self::Local(flag) => termios.local_modes.contains(flag).into(),
            Self::Output(flag) => termios.output_modes.contains(flag).into(),
            // Bytes of 8 bits have both bits of 7.
            Self::Control(ControlModes::CS7) => {
                (termios.control_modes & ControlModes::CSIZE == ControlModes::CS7).into()
            }
            Self::Control(flag) => termios.control_modes.contains(flag).into(),
        }
    }

    fn set(self, termios: &mut Termios, argument: u32) {
        let on = argument != 0;
        match self {
            Self::Character(index) => {
                let character = u8::try_from(argument).ok();
                let used = character.filter(|_| argument != NO_CHARACTER);
                termios.special_codes[index] = used.unwrap_or(0);
            }
            Self::Input(flag) => termios.input_modes.set(flag, on),
            Self::Local(flag) => termios.local_modes.set(flag, on),
            Self::Output(flag) => termios.output_modes.set(flag, on),
            Self::Control(size @ (ControlModes::CS7 | ControlModes::CS8)) => {
                if on {
                    termios.control_modes.remove(ControlModes::CSIZE);
                    termios.control_modes.insert(size);
                }
            }
            Self::Control(flag) => termios.control_modes.set(flag, on),
        }
    }
}

/// The size of this terminal.
///
/// # Errors
/// When it is no terminal.
pub fn size(terminal: impl AsFd) -> io::Result<TerminalSize> {
    let size = tcgetwinsize(terminal)?;
    Ok(TerminalSize {
        columns: size.ws_col.into(),
        rows: size.ws_row.into(),
        width_pixels: size.ws_xpixel.into(),
        height_pixels: size.ws_ypixel.into(),
    })
}

/// How a terminal was before it was made raw.
#[derive(Debug, Clone)]
pub struct Cooked(Termios);

/// Has the terminal pass on every key as it is, and returns how it was before.
///
/// # Errors
/// When it is no terminal.
pub fn make_raw(terminal: impl AsFd) -> io::Result<Cooked> {
    let cooked = tcgetattr(&terminal)?;
    let mut raw = cooked.clone();
    raw.make_raw();
    tcsetattr(terminal, OptionalActions::Drain, &raw)?;
    Ok(Cooked(cooked))
}

/// Makes the terminal what it was.
///
/// # Errors
/// When it is no terminal any more.
pub fn restore(terminal: impl AsFd, Cooked(cooked): &Cooked) -> io::Result<()> {
    Ok(tcsetattr(terminal, OptionalActions::Drain, cooked)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_of_one_terminal_can_be_set_on_another() {
        let (one, _pts) = pty_process::blocking::open().unwrap();
        let (other, _other_pts) = pty_process::blocking::open().unwrap();
        set_modes(&one, &[(1, 7), (53, 0), (75, 1), (8, 255)]).unwrap();
        let wanted = modes(&one).unwrap();
        assert!(wanted.contains(&(1, 7)) && wanted.contains(&(53, 0)));
        assert!(wanted.contains(&(75, 1)) && wanted.contains(&(8, 255)));
        set_modes(&other, &wanted).unwrap();
        assert_eq!(modes(&other).unwrap(), wanted);
    }

    #[test]
    fn raw_mode_is_undone() {
        let (terminal, _pts) = pty_process::blocking::open().unwrap();
        let before = modes(&terminal).unwrap();
        let cooked = make_raw(&terminal).unwrap();
        assert_ne!(modes(&terminal).unwrap(), before);
        restore(&terminal, &cooked).unwrap();
        assert_eq!(modes(&terminal).unwrap(), before);
    }
}
