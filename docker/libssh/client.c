/* A client on libssh that runs one command, told what to do as harness/PEERS.md says. */
#include <libssh/libssh.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* No command of the suite ends so; the manifest reads it as "the client failed". */
enum { FAILED = 255 };

static _Noreturn void fail(ssh_session session, const char *what) {
    fprintf(stderr, "%s: %s\n", what, ssh_get_error(session));
    exit(FAILED);
}

static void log_in(ssh_session session) {
    const char *password = getenv("DRILL_PASSWORD");
    ssh_key key = NULL;
    int answer;
    if (password) {
        answer = ssh_userauth_password(session, NULL, password);
    } else {
        if (ssh_pki_import_privkey_file(getenv("DRILL_USER_KEY"), NULL, NULL, NULL, &key) != SSH_OK)
            fail(session, "cannot read the user key");
        answer = ssh_userauth_publickey(session, NULL, key);
        ssh_key_free(key);
    }
    if (answer == SSH_AUTH_DENIED) fail(session, "login refused");
    if (answer != SSH_AUTH_SUCCESS) fail(session, "login failed");
}

/* Moves what came on one of the channel's streams; false when there was nothing. */
static int receive(ssh_channel channel, int is_stderr) {
    static char bytes[32768];
    int got = ssh_channel_read_nonblocking(channel, bytes, sizeof bytes, is_stderr);
    for (int done = 0, n; done < got; done += n)
        if ((n = write(is_stderr ? 2 : 1, bytes + done, got - done)) < 0) exit(FAILED);
    return got > 0;
}

/* Sends what is on stdin, as far as the window goes; false when there was nothing. */
static int send_stdin(ssh_channel channel, int *open) {
    static char bytes[16384];
    struct pollfd input = { .fd = 0, .events = POLLIN };
    uint32_t window = ssh_channel_window_size(channel);
    if (!*open || window == 0 || poll(&input, 1, 0) < 1) return 0;
    int got = read(0, bytes, window < sizeof bytes ? window : sizeof bytes);
    if (got > 0 && ssh_channel_write(channel, bytes, got) == got) return 1;
    *open = 0;
    ssh_channel_send_eof(channel);
    return 1;
}

int main(void) {
    ssh_session session = ssh_new();
    int no = 0, yes = 1;
    ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &no);
    ssh_options_set(session, SSH_OPTIONS_NODELAY, &yes);
    ssh_options_set(session, SSH_OPTIONS_HOST, getenv("DRILL_HOST"));
    ssh_options_set(session, SSH_OPTIONS_PORT_STR, getenv("DRILL_PORT"));
    ssh_options_set(session, SSH_OPTIONS_USER, getenv("DRILL_USER"));
    ssh_options_set(session, SSH_OPTIONS_KNOWNHOSTS, getenv("DRILL_KNOWN_HOSTS"));
    ssh_options_set(session, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, getenv("DRILL_KNOWN_HOSTS"));
    if (ssh_connect(session) != SSH_OK) fail(session, "cannot connect");
    if (ssh_session_is_known_server(session) != SSH_KNOWN_HOSTS_OK)
        fail(session, "host key refused");
    log_in(session);

    ssh_channel channel = ssh_channel_new(session);
    if (ssh_channel_open_session(channel) != SSH_OK) fail(session, "no channel");
    if (ssh_channel_request_exec(channel, getenv("DRILL_COMMAND")) != SSH_OK)
        fail(session, "command refused");
    ssh_event event = ssh_event_new();
    if (ssh_event_add_session(event, session) != SSH_OK) fail(session, "no event");
    for (int open = 1;;) {
        int moved = send_stdin(channel, &open);
        moved |= receive(channel, 0) | receive(channel, 1);
        if (moved) continue;
        if (ssh_channel_is_closed(channel)) break;
        /* A session that failed stays connected until somebody looks. */
        if (ssh_get_status(session) & (SSH_CLOSED | SSH_CLOSED_ERROR)) fail(session, "connection lost");
        /* Polling the channel would read no more once EOF has come, and miss a CLOSE behind it. */
        if (ssh_event_dopoll(event, 5) == SSH_ERROR) fail(session, "connection lost");
    }
    int status = ssh_channel_get_exit_status(channel);
    ssh_channel_close(channel);
    ssh_event_free(event);
    ssh_disconnect(session);
    return status < 0 ? FAILED : status;
}
