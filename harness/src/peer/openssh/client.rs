//! One `ssh` process per session: the script that runs them, and what their logs mean.

use std::fmt::Write;
use std::time::Duration;

use super::dialect::{self, Release};
use super::rekey_option;
use crate::peer::place::{Files, Input, Place, quoted};
use crate::peer::process::crash;
use crate::peer::{
    Broken, ClientEnd, ClientJob, ClientRecord, Credential, Exec, ExecOutcome, KnownHost, Signal,
    TERM, keys,
};
use crate::verdict::Log;
use crate::wording;

/// The name under which `known_hosts` lists the server, whatever its address.
const HOST_ALIAS: &str = "drill";

/// What its log says of the request.
const EXIT_SIGNAL: &str = " rtype exit-signal ";

/// Options for every connection: our algorithms, our files, and nothing of the user's.
const OPTIONS: &[&str] = &[
    "KexAlgorithms=curve25519-sha256,curve25519-sha256@libssh.org",
    "HostKeyAlgorithms=ssh-ed25519",
    "Ciphers=chacha20-poly1305@openssh.com",
    "Compression=no",
    "CheckHostIP=no",
    "GlobalKnownHostsFile=/dev/null",
    "UserKnownHostsFile=in/known_hosts",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    "IdentitiesOnly=yes",
    "IdentityFile=in/key",
    "NumberOfPasswordPrompts=1",
    "LogLevel=DEBUG3",
];

/// Runs `job` in `place`. `ssh` are the shell's words that run the program of this release.
pub(super) fn connect(
    place: &dyn Place,
    ssh: &str,
    release: Release,
    job: &ClientJob,
) -> Result<ClientRecord, Broken> {
    let script = running(ssh, release, job);
    let worked = place.work(&inputs(job), &script, job.deadline)?;
    let mut files = worked.files;
    let logs: Vec<Log> = files
        .iter()
        .filter(|(name, _)| name.starts_with("log."))
        .map(|(name, text)| Log {
            name: name.replacen("log.", "ssh ", 1),
            text: String::from_utf8_lossy(text).into_owned(),
        })
        .collect();
    let mut statuses = files.iter().filter(|(name, _)| name.starts_with("status."));
    let died =
        statuses.find_map(|(_, code)| crash(String::from_utf8_lossy(code).trim().parse().ok()?));
    let end = match worked.in_time {
        true => end(job, &mut files, &logs),
        false => ClientEnd::Failed(not_done(job.deadline, &logs)),
    };
    Ok(ClientRecord {
        end,
        died,
        logs,
        trace: Vec::new(),
        captures: Vec::new(),
    })
}

/// Everything the clients read. Files, because a command line can be read by anybody.
fn inputs(job: &ClientJob) -> Vec<Input<'_>> {
    let known_hosts = match job.known_host {
        KnownHost::Right => format!("{HOST_ALIAS} {}", keys::HOST_PUBLIC),
        KnownHost::Other => format!("{HOST_ALIAS} {}", keys::OTHER_HOST_PUBLIC),
        KnownHost::Unknown => String::new(),
    };
    let mut inputs: Vec<Input<'_>> = vec![
        (
            "in/known_hosts".into(),
            "600",
            known_hosts.into_bytes().into(),
        ),
        ("in/key".into(), "600", keys::USER.as_bytes().into()),
    ];
    if let Credential::Password(password) = &job.credential {
        inputs.push(("in/password".into(), "600", password.as_bytes().into()));
        inputs.push((
            "in/askpass".into(),
            "700",
            b"#!/bin/sh\ncat in/password\n"[..].into(),
        ));
    }
    for (number, exec) in (1..).zip(&job.execs) {
        if let Some(stdin) = &exec.stdin {
            inputs.push((format!("in/stdin.{number}"), "600", stdin.into()));
        }
    }
    inputs
}

/// The script that runs the clients.
fn running(ssh: &str, release: Release, job: &ClientJob) -> String {
    let mut script = format!(
        "unset SSH_AUTH_SOCK
         export SSH_ASKPASS=./in/askpass SSH_ASKPASS_REQUIRE=force DISPLAY=none TERM={TERM}
         client() {{
             name=$1; shift
             stdin=in/stdin.$name
             [ -e $stdin ] || stdin=/dev/null
             {} \"$@\" <$stdin >stdout.$name 2>stderr.$name
             echo $? >status.$name
         }}\n",
        command(ssh, release, job)
    );
    let host = quoted(&job.host);
    let run = |number: usize, exec: &Exec, through: &str| {
        format!(
            "{}client {number} {through}{}{host}{}",
            environment(exec),
            session_options(exec),
            remote_command(exec)
        )
    };
    match job.execs.as_slice() {
        [] => drop(writeln!(script, "client 1 {host} -- true")),
        [exec] => script.push_str(&(run(1, exec, "") + "\n")),
        execs => {
            let _ = write!(
                script,
                "client master -M -N -S control {host} &
                 until [ -S control ] || [ -e status.master ]; do sleep 0.01; done
                 sessions=
                 if [ -S control ]; then\n"
            );
            // Without its master a client would connect by itself; the proxy command forbids it.
            let through = "-S control -o ControlMaster=no -o ProxyCommand=false ";
            for (number, exec) in (1..).zip(execs) {
                let _ = writeln!(script, "{} &", run(number, exec, through));
                script.push_str("sessions=\"$sessions $!\"\n");
            }
            let _ = write!(
                script,
                "wait $sessions
                 {ssh} -F /dev/null -S control -O exit {host} 2>/dev/null
                 wait
                 fi\n"
            );
        }
    }
    script
}

/// Assignments before the client's name: variables for it to pass on.
fn environment(exec: &Exec) -> String {
    let assigned = exec
        .env
        .iter()
        .map(|(name, value)| format!("{name}={} ", quoted(value)));
    assigned.collect()
}

fn session_options(exec: &Exec) -> String {
    let mut options = String::new();
    for (name, _) in &exec.env {
        let _ = write!(options, "-o SendEnv={name} ");
    }
    // Twice, since our own input is no terminal.
    options.push_str(if exec.terminal { "-t -t " } else { "-T " });
    options
}

fn remote_command(exec: &Exec) -> String {
    let command = exec.command.as_deref();
    command.map_or_else(String::new, |command| format!(" -- {}", quoted(command)))
}

/// The command line that all clients of the job have in common, as shell words. `$name` is theirs.
fn command(ssh: &str, release: Release, job: &ClientJob) -> String {
    let mut words = format!("{ssh} -F /dev/null -E log.$name -p {}", job.port);
    let login = match job.credential {
        Credential::Publickey => ["PreferredAuthentications=publickey", "BatchMode=yes"],
        // Batch mode would mean not to ask for a password, not even a program.
        Credential::Password(_) => ["PreferredAuthentications=password", "BatchMode=no"],
    };
    let user = format!("User={}", job.user);
    let alias = format!("HostKeyAlias={HOST_ALIAS}");
    let options = [OPTIONS, &login, &[user.as_str(), alias.as_str()]].concat();
    for option in dialect::client_options(&options, release) {
        let _ = write!(words, " -o {}", quoted(&option));
    }
    if let Some(option) = rekey_option(job.rekey) {
        let _ = write!(words, " -o {}", quoted(&option));
    }
    words
}

/// What became of a job whose script ran to its end.
fn end(job: &ClientJob, files: &mut Files, logs: &[Log]) -> ClientEnd {
    let all: String = logs.iter().map(|log| log.text.as_str()).collect();
    if all.contains("Host key verification failed.") {
        return ClientEnd::RefusedHostKey;
    }
    if all.contains(": Permission denied (") || all.contains("Too many authentication failures") {
        return ClientEnd::AuthFailed;
    }
    let words = own_words(&all);
    let mut outcomes = Vec::new();
    for number in 1..=job.execs.len() {
        let mut file = |kind: &str| {
            files
                .remove(&format!("{kind}.{number}"))
                .unwrap_or_default()
        };
        let code = String::from_utf8_lossy(&file("status")).trim().parse().ok();
        let log = logs.iter().find(|log| log.name == format!("ssh {number}"));
        let log = log.map_or("", |log| log.text.as_str());
        let exit_status = exit_status(code, log);
        let stderr = file("stderr");
        // Without a status the session was ended by a signal, or quietly, or the client complained.
        let complained = !words.is_empty() && !all.contains(EXIT_SIGNAL);
        if exit_status.is_none() && (code.is_none() || complained) {
            let said = String::from_utf8_lossy(&stderr);
            return ClientEnd::Failed(format!("{words}\n{said}").trim().to_owned());
        }
        outcomes.push(ExecOutcome {
            stdout: file("stdout"),
            stderr,
            exit_status,
            exit_signal: log.contains(EXIT_SIGNAL).then_some(Signal::Unnamed),
        });
    }
    if job.execs.is_empty() && !all.contains("Authenticated to ") {
        return ClientEnd::Failed(words);
    }
    ClientEnd::Done(outcomes)
}

/// The exit status of the command, told apart from ssh's own 255 by its log.
fn exit_status(code: Option<u32>, log: &str) -> Option<u32> {
    const SSH_FAILED: u32 = 255;
    let logged = || {
        log.lines().rev().find_map(|line| {
            let line = line.to_ascii_lowercase();
            let (_, status) = line
                .split_once("received exit status from master ")
                .or_else(|| line.split_once("exit status "))?;
            status.trim().parse().ok()
        })
    };
    match code {
        Some(SSH_FAILED) => logged().filter(|&status| status == SSH_FAILED),
        code => code,
    }
}

/// What the clients said for people to read: their log without debug lines and pleasantries.
fn own_words(log: &str) -> String {
    const PLEASANTRIES: &[&str] = &[
        "debug",
        "OpenSSH_",
        "Authenticated to ",
        "Authentication succeeded",
        "Transferred: ",
        "Bytes per second: ",
        "Shared connection to ",
        "Exit request sent.",
        // A list of channels that debug level 3 prints in several lines.
        "  #",
    ];
    let said = |line: &&str| !PLEASANTRIES.iter().any(|start| line.starts_with(start));
    log.lines()
        .map(str::trim_end)
        .filter(said)
        .collect::<Vec<_>>()
        .join("\n")
}

/// What is known of clients that did not end.
fn not_done(deadline: Duration, logs: &[Log]) -> String {
    let last = logs
        .iter()
        .find_map(|log| log.text.lines().last())
        .unwrap_or("nothing");
    let deadline = wording::time(deadline);
    format!("not done after {deadline}; the last thing that ssh logged: {last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_255_of_a_command_is_not_mistaken_for_a_failure_of_ssh() {
        assert_eq!(exit_status(Some(7), ""), Some(7));
        assert_eq!(exit_status(Some(255), "debug1: Exit status -1"), None);
        assert_eq!(exit_status(Some(255), "debug1: Exit status 255"), Some(255));
        let master = "debug2: Received exit status from master 255";
        assert_eq!(exit_status(Some(255), master), Some(255));
        assert_eq!(exit_status(Some(255), "Connection reset by peer"), None);
    }

    #[test]
    fn only_what_a_person_should_read_counts_as_words() {
        let log = "debug1: x\nConnection closed by 127.0.0.1 port 9\r\nTransferred: sent 1\n";
        assert_eq!(own_words(log), "Connection closed by 127.0.0.1 port 9");
    }
}
