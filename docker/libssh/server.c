/* A server on libssh that runs commands, told what to do as harness/PEERS.md says. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHANNELS_MAX = 256 };

/* A channel and the pipes of its command; -1 where one is closed. */
struct run {
    ssh_channel channel;
    pid_t pid;
    int in, out, err, told;
} runs[CHANNELS_MAX];

static ssh_key allowed;

static int on_password(ssh_session session, const char *user, const char *password, void *data) {
    (void)session, (void)data;
    return strcmp(user, getenv("DRILL_USER")) || strcmp(password, getenv("DRILL_PASSWORD"))
               ? SSH_AUTH_DENIED
               : SSH_AUTH_SUCCESS;
}

static int on_publickey(ssh_session session, const char *user, struct ssh_key_struct *key,
                        char state, void *data) {
    (void)session, (void)data;
    if (strcmp(user, getenv("DRILL_USER")) || ssh_key_cmp(key, allowed, SSH_KEY_CMP_PUBLIC))
        return SSH_AUTH_DENIED;
    return state == SSH_PUBLICKEY_STATE_NONE || state == SSH_PUBLICKEY_STATE_VALID
               ? SSH_AUTH_SUCCESS
               : SSH_AUTH_DENIED;
}

static int on_exec(ssh_session session, ssh_channel channel, const char *command, void *data) {
    struct run *run = data;
    int in[2], out[2], err[2];
    (void)session, (void)channel;
    if (run->pid || pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
        return SSH_ERROR;
    if ((run->pid = fork()) == 0) {
        dup2(in[0], 0), dup2(out[1], 1), dup2(err[1], 2);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(126);
    }
    close(in[0]), close(out[1]), close(err[1]);
    run->in = in[1], run->out = out[0], run->err = err[0];
    return SSH_OK;
}

static int on_shell(ssh_session session, ssh_channel channel, void *data) {
    return on_exec(session, channel, "exec sh", data);
}

static ssh_channel on_open(ssh_session session, void *data) {
    static struct ssh_channel_callbacks_struct callbacks[CHANNELS_MAX];
    (void)data;
    for (int i = 0; i < CHANNELS_MAX; i++) {
        if (runs[i].channel) continue;
        runs[i] = (struct run){ .channel = ssh_channel_new(session), .in = -1, .out = -1, .err = -1 };
        callbacks[i] = (struct ssh_channel_callbacks_struct){
            .userdata = &runs[i],
            .channel_exec_request_function = on_exec,
            .channel_shell_request_function = on_shell,
        };
        ssh_callbacks_init(&callbacks[i]);
        ssh_set_channel_callbacks(runs[i].channel, &callbacks[i]);
        return runs[i].channel;
    }
    return NULL;
}

static int is_ready(int fd, short event) {
    struct pollfd one = { .fd = fd, .events = event };
    return fd >= 0 && poll(&one, 1, 0) == 1;
}

static void shut(int *fd) {
    close(*fd);
    *fd = -1;
}

/* From the client to the command; a pipe that is ready takes at least PIPE_BUF bytes at once. */
static int feed(struct run *run) {
    char bytes[4096];
    if (!is_ready(run->in, POLLOUT)) return 0;
    int got = ssh_channel_read_nonblocking(run->channel, bytes, sizeof bytes, 0);
    if (got > 0 && write(run->in, bytes, got) == got) return 1;
    if (got == SSH_ERROR || (got == 0 && !ssh_channel_is_eof(run->channel))) return 0;
    shut(&run->in);
    return 1;
}

/* From the command to the client, as far as the window goes. */
static int drain(struct run *run, int *fd, int is_stderr) {
    char bytes[16384];
    uint32_t window = ssh_channel_window_size(run->channel);
    if (window == 0 || !is_ready(*fd, POLLIN)) return 0;
    int got = read(*fd, bytes, window < sizeof bytes ? window : sizeof bytes);
    if (got <= 0) shut(fd);
    else if (is_stderr) ssh_channel_write_stderr(run->channel, bytes, got);
    else ssh_channel_write(run->channel, bytes, got);
    return 1;
}

/* Tells how the command ended, if it has; a process that it left behind may hold its output longer. */
static int has_ended(struct run *run) {
    int status = 0;
    if (run->told) return 1;
    if (waitpid(run->pid, &status, WNOHANG) != run->pid) return 0;
    if (WIFEXITED(status)) ssh_channel_request_send_exit_status(run->channel, WEXITSTATUS(status));
    else ssh_channel_request_send_exit_signal(run->channel, "KILL", 0, "", "");
    return run->told = 1;
}

/* Says farewell to the channel and forgets it. */
static void end(struct run *run) {
    if (run->pid && !run->told) kill(run->pid, SIGHUP);
    ssh_channel_send_eof(run->channel);
    ssh_channel_close(run->channel);
    for (int *fd = &run->in; fd <= &run->err; fd++) if (*fd >= 0) shut(fd);
    run->channel = NULL;
    run->pid = 0;
}

/* A session that failed stays connected until somebody looks. */
static int is_alive(ssh_session session) {
    return !(ssh_get_status(session) & (SSH_CLOSED | SSH_CLOSED_ERROR));
}

static void serve(ssh_session session) {
    struct ssh_server_callbacks_struct callbacks = {
        .auth_password_function = on_password,
        .auth_pubkey_function = on_publickey,
        .channel_open_request_session_function = on_open,
    };
    ssh_callbacks_init(&callbacks);
    ssh_set_server_callbacks(session, &callbacks);
    ssh_set_auth_methods(session, SSH_AUTH_METHOD_PASSWORD | SSH_AUTH_METHOD_PUBLICKEY);
    ssh_event event = ssh_event_new();
    if (ssh_handle_key_exchange(session) != SSH_OK || ssh_event_add_session(event, session)) {
        fprintf(stderr, "connection failed: %s\n", ssh_get_error(session));
        return;
    }
    for (int moved = 1; ssh_event_dopoll(event, moved ? 0 : 5) != SSH_ERROR && is_alive(session);) {
        moved = 0;
        for (struct run *run = runs; run < runs + CHANNELS_MAX; run++) {
            if (!run->channel || (!run->pid && !ssh_channel_is_closed(run->channel))) continue;
            int busy = feed(run) | drain(run, &run->out, 0) | drain(run, &run->err, 1);
            moved |= busy;
            if (ssh_channel_is_closed(run->channel)) end(run);
            else if (!busy && has_ended(run) && run->out < 0 && run->err < 0) end(run);
        }
    }
    fprintf(stderr, "connection ended: %s\n", ssh_get_error(session));
}

int main(void) {
    ssh_bind bind = ssh_bind_new();
    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_BINDADDR, getenv("DRILL_ADDRESS"));
    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_BINDPORT_STR, getenv("DRILL_PORT"));
    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_HOSTKEY, getenv("DRILL_HOST_KEY"));
    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_LOG_VERBOSITY_STR, "1");
    if (ssh_pki_import_pubkey_file(getenv("DRILL_AUTHORIZED_KEYS"), &allowed) != SSH_OK
        || ssh_bind_listen(bind) != SSH_OK) {
        fprintf(stderr, "cannot listen: %s\n", ssh_get_error(bind));
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        ssh_session session = ssh_new();
        if (ssh_bind_accept(bind, session) != SSH_OK) {
            fprintf(stderr, "cannot accept: %s\n", ssh_get_error(bind));
        } else if (fork() == 0) {
            serve(session);
            _exit(0);
        }
        ssh_free(session);
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
    }
}
