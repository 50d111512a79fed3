/* A capture device made of a script, for tests: an external PCM (ioplug), so that snd_pcm_open, poll, avail and
   readi are libasound's own. It runs at real pace and fails where the script says.

     pcm_type.scripted { lib "/path/libasound_module_pcm_scripted.so" }
     pcm.NAME {
         type scripted
         kind "counter"     # counter (default): see store(); zeros; zeros:N: zeros up to sample N; nan: every 1000th
                            # sample is NaN, infinite or huge (FLOAT only)
         infile "x.raw"     # in place of a kind: S16_LE mono, followed by zeros
         speed 1.0          # true rate / nominal rate
         formats "S16_LE,FLOAT_LE"
         rates "16000,48000"
         channels 2         # exactly; 0: 1 to 8
         stuck 0            # 1: start it, and nothing ever comes
         broken 0           # 1: it opens, and does not start
         life 0             # samples after which every run of it ends with -ENODEV; it can be opened again at once
         blocks 0           # 1: its samples come a whole period at a time
         opening 0          # milliseconds that opening takes
         script "8000:xrun,16000:stall:300"
         state "/path/file" # see below
         report "/path/file" # gets a line "open" whenever it is opened, and one "RATE PERIOD BUFFER", the latter two
                            # in samples, whenever it starts
     }

   Actions, each once, when the device reaches that sample: xrun (-EPIPE), suspend (-ESTRPIPE), gone:ms (-ENODEV, and
   it cannot be opened for so many ms), eio:ms (the same with -EIO, then -ECONNREFUSED), stall:ms (no samples for so
   long; the samples of that time are lost), pause:ms (the same, and no sample is lost: the device's clock stands).

   The sample clock never stops: it goes on through faults and through being closed. A sample's value is its number
   on that clock, so a reader can tell from the values alone how many samples it missed. The clock and what was done
   of the script are kept for the life of the process, by name of the PCM. As hardware, it can be open once at a time,
   and its descriptor stays readable until poll_revents is asked: who never asks is refused the samples. While the file
   `state` holds the word "absent", "busy", "denied", "refused" or "down", opening fails so. */

#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define ACTIONS 32

struct action {
    uint64_t at;
    char what[12];
    long milliseconds;
    int done;
};

/* What stays while the device is closed. */
struct clock {
    char name[64];
    int64_t start;          /* ns, CLOCK_MONOTONIC; 0: not started yet */
    int64_t gone_until;     /* ns */
    int refused;            /* error of opening while it is gone */
    int is_open;
    struct action actions[ACTIONS];
    int action_count;
    struct clock *next;
};

static struct clock *clocks;
static pthread_mutex_t clocks_lock = PTHREAD_MUTEX_INITIALIZER;

struct device {
    snd_pcm_ioplug_t io;
    struct clock *clock;
    double speed;
    uint64_t zeros;         /* samples that are 0 */
    int nan, stuck, broken, blocks;
    uint64_t life;          /* samples; 0: for ever */
    int unasked;            /* transfers since poll_revents */
    int16_t *samples;       /* infile's */
    uint64_t sample_count;
    char *report;
    int timer;
    uint64_t first;         /* clock sample at which this run started */
    uint64_t captured;      /* samples since then */
    uint64_t delivered;     /* of these, given to the application */
    int64_t frozen_until;   /* ns: stalled or paused till then */
    int dead;               /* errno value */
    int suspended;
};

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* The number of the sample that the clock is at. */
static uint64_t clock_sample(struct device *d, int64_t time)
{
    return (uint64_t)((time - d->clock->start) * 1e-9 * d->io.rate * d->speed);
}

static void report(struct device *d, const char *line)
{
    FILE *file = d->report ? fopen(d->report, "ae") : NULL;
    if (!file) return;
    fputs(line, file);
    fclose(file);
}

static int on_start(snd_pcm_ioplug_t *io)
{
    struct device *d = io->private_data;
    if (d->dead) return -d->dead;
    if (d->broken) return -EIO;
    char line[64];
    snprintf(line, sizeof line, "%u %lu %lu\n", io->rate, io->period_size, io->buffer_size);
    report(d, line);
    int64_t time = now();
    if (!d->clock->start) d->clock->start = time;
    d->first = clock_sample(d, time);
    d->captured = d->delivered = 0;
    if (d->stuck) return 0;
    int64_t period = (int64_t)(1e9 * io->period_size / io->rate / d->speed);
    struct itimerspec spec = {{period / 1000000000, period % 1000000000}, {period / 1000000000, period % 1000000000}};
    timerfd_settime(d->timer, 0, &spec, NULL);
    return 0;
}

static int on_stop(snd_pcm_ioplug_t *io)
{
    struct device *d = io->private_data;
    struct itimerspec off = {{0, 0}, {0, 0}};
    timerfd_settime(d->timer, 0, &off, NULL);
    d->captured = d->delivered = 0;
    return 0;
}

static int on_prepare(snd_pcm_ioplug_t *io)
{
    struct device *d = io->private_data;
    if (d->dead) return -d->dead;
    d->suspended = 0;
    d->captured = d->delivered = 0;
    return 0;
}

/* Does what the script says at this moment; 0, or the error the pointer callback is to return. */
static int act(struct device *d, int64_t time)
{
    uint64_t at = clock_sample(d, time);
    for (int i = 0; i < d->clock->action_count; i++) {
        struct action *a = &d->clock->actions[i];
        if (a->done || at < a->at) continue;
        a->done = 1;
        int64_t span = a->milliseconds * 1000000LL;
        if (!strcmp(a->what, "xrun")) return -EPIPE;
        if (!strcmp(a->what, "suspend")) d->suspended = 1;
        if (!strcmp(a->what, "gone")) d->dead = ENODEV, d->clock->refused = ENODEV, d->clock->gone_until = time + span;
        if (!strcmp(a->what, "eio")) d->dead = EIO, d->clock->refused = ECONNREFUSED, d->clock->gone_until = time + span;
        if (!strcmp(a->what, "stall")) d->frozen_until = time + span;
        if (!strcmp(a->what, "pause")) d->frozen_until = time + span, d->clock->start += span;
        break;
    }
    return 0;
}

static snd_pcm_sframes_t on_pointer(snd_pcm_ioplug_t *io)
{
    struct device *d = io->private_data;
    if (io->state != SND_PCM_STATE_RUNNING || d->stuck) return d->captured % io->buffer_size;
    int64_t time = now();
    if (time < d->frozen_until) return d->captured % io->buffer_size;
    if (d->frozen_until) {
        /* The samples of a stall are lost: the run goes on where the clock is now. */
        d->frozen_until = 0;
        uint64_t at = clock_sample(d, time);
        if (at > d->first + d->captured) d->first = at - d->captured;
    }
    int error = act(d, time);
    if (error) return error;
    if (d->frozen_until) return d->captured % io->buffer_size;
    uint64_t at = clock_sample(d, time);
    if (d->blocks) at -= (at - d->first) % io->period_size;
    if (at > d->first + d->captured) d->captured = at - d->first;
    if (d->life && d->delivered >= d->life) d->dead = ENODEV;
    if (d->captured - d->delivered > io->buffer_size) {
        if (!d->dead && !d->suspended) return -EPIPE;
        d->captured = d->delivered + io->buffer_size - 1;
    }
    /* A device that fails still says that there is something to read, or the reader would not come. */
    if ((d->dead || d->suspended) && d->captured == d->delivered) d->captured++;
    return d->captured % io->buffer_size;
}

/* The counter, of which a sample holds as much as fits: 16 bits in S16, 24 in the others. */
static void store(struct device *d, char *to, uint64_t number, snd_pcm_format_t format)
{
    int32_t low24 = (int32_t)(number & 0xFFFFFF) - 0x800000;
    if (number < d->zeros) low24 = 0;
    int16_t s16 = number < d->zeros ? 0 : (int16_t)((number & 0xFFFF) - 0x8000);
    int32_t s32 = low24 * 256;
    float f = low24 / 8388608.0f;
    if (d->nan && number % 1000 == 0) f = (float[]){INFINITY, NAN, 1e30f}[number / 1000 % 3];
    if (d->samples) {
        s16 = number < d->sample_count ? d->samples[number] : 0;
        low24 = s16 * 256;
        s32 = s16 * 65536;
        f = s16 / 32768.0f;
    }
    switch (format) {
    case SND_PCM_FORMAT_S16_LE: memcpy(to, &s16, 2); break;
    case SND_PCM_FORMAT_S24_LE: low24 &= 0xFFFFFF; memcpy(to, &low24, 4); break;
    case SND_PCM_FORMAT_S24_3LE: memcpy(to, &low24, 3); break;
    case SND_PCM_FORMAT_S32_LE: memcpy(to, &s32, 4); break;
    default: memcpy(to, &f, 4);
    }
}

static snd_pcm_sframes_t on_transfer(
    snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas, snd_pcm_uframes_t offset, snd_pcm_uframes_t size)
{
    struct device *d = io->private_data;
    if (d->dead) return -d->dead;
    if (d->unasked++ > 100) return -EBADFD;
    if (d->suspended) {
        snd_pcm_ioplug_set_state(io, SND_PCM_STATE_SUSPENDED);
        return -ESTRPIPE;
    }
    for (snd_pcm_uframes_t i = 0; i < size; i++)
        for (unsigned c = 0; c < io->channels; c++) {
            const snd_pcm_channel_area_t *a = &areas[c];
            char *to = (char *)a->addr + (a->first + a->step * (offset + i)) / 8;
            /* Channel c is c samples ahead, so that channels can be told apart. */
            store(d, to, d->first + d->delivered + i + c, io->format);
        }
    d->delivered += size;
    return size;
}

static int on_revents(snd_pcm_ioplug_t *io, struct pollfd *fds, unsigned count, unsigned short *revents)
{
    struct device *d = io->private_data;
    uint64_t ticks;
    d->unasked = 0;
    if (count && fds->revents & POLLIN && read(d->timer, &ticks, 8) < 0) ticks = 0;
    *revents = d->dead ? POLLIN | POLLERR : fds->revents;
    return 0;
}

static int on_close(snd_pcm_ioplug_t *io)
{
    struct device *d = io->private_data;
    d->clock->is_open = 0;
    close(d->timer);
    free(d->samples);
    free(d->report);
    free(d);
    return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
    .start = on_start, .stop = on_stop, .prepare = on_prepare, .pointer = on_pointer, .transfer = on_transfer,
    .poll_revents = on_revents, .close = on_close,
};

static struct clock *find_clock(const char *name, const char *script)
{
    pthread_mutex_lock(&clocks_lock);
    struct clock *c = clocks;
    while (c && strcmp(c->name, name)) c = c->next;
    if (!c && (c = calloc(1, sizeof *c))) {
        snprintf(c->name, sizeof c->name, "%s", name);
        c->next = clocks;
        clocks = c;
        while (script && *script && c->action_count < ACTIONS) {
            struct action *a = &c->actions[c->action_count];
            unsigned long long at;
            if (sscanf(script, "%llu:%11[a-z]:%ld", &at, a->what, &a->milliseconds) >= 2) {
                a->at = at;
                c->action_count++;
            }
            script = strchr(script, ',');
            if (script) script++;
        }
    }
    pthread_mutex_unlock(&clocks_lock);
    return c;
}

/* 0, or why the state file refuses an opening. */
static int refusal(const char *path)
{
    char word[12] = "";
    FILE *file = path ? fopen(path, "re") : NULL;
    if (!file) return 0;
    if (fscanf(file, "%11s", word) != 1) word[0] = 0;
    fclose(file);
    if (!strcmp(word, "absent")) return -ENODEV;
    if (!strcmp(word, "busy")) return -EBUSY;
    if (!strcmp(word, "denied")) return -EACCES;
    if (!strcmp(word, "refused")) return -ECONNREFUSED;
    if (!strcmp(word, "down")) return -EHOSTDOWN;
    return 0;
}

/* A list of numbers or of format names into `values`; returns how many. */
static unsigned parse_list(const char *text, int are_formats, unsigned *values, unsigned most)
{
    unsigned count = 0;
    char *copy = strdup(text), *rest = NULL;
    for (char *word = strtok_r(copy, ",", &rest); word && count < most; word = strtok_r(NULL, ",", &rest))
        values[count++] = are_formats ? (unsigned)snd_pcm_format_value(word) : (unsigned)atoi(word);
    free(copy);
    return count;
}

static int read_samples(struct device *d, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) return -errno;
    fseek(file, 0, SEEK_END);
    long bytes = ftell(file);
    rewind(file);
    d->samples = malloc(bytes + 1);
    d->sample_count = d->samples ? fread(d->samples, 2, bytes / 2, file) : 0;
    fclose(file);
    return d->samples ? 0 : -ENOMEM;
}

SND_PCM_PLUGIN_DEFINE_FUNC(scripted)
{
    const char *kind = "counter", *infile = NULL, *script = NULL, *state = NULL, *report_path = NULL, *formats = "S16_LE", *rates = "16000";
    double speed = 1;
    long channels = 1, stuck = 0, broken = 0, life = 0, blocks = 0, opening = 0;
    snd_config_iterator_t i, next;
    snd_config_for_each(i, next, conf) {
        snd_config_t *n = snd_config_iterator_entry(i);
        const char *id;
        if (snd_config_get_id(n, &id) < 0) continue;
        if (!strcmp(id, "kind")) snd_config_get_string(n, &kind);
        else if (!strcmp(id, "infile")) snd_config_get_string(n, &infile);
        else if (!strcmp(id, "script")) snd_config_get_string(n, &script);
        else if (!strcmp(id, "state")) snd_config_get_string(n, &state);
        else if (!strcmp(id, "report")) snd_config_get_string(n, &report_path);
        else if (!strcmp(id, "formats")) snd_config_get_string(n, &formats);
        else if (!strcmp(id, "rates")) snd_config_get_string(n, &rates);
        else if (!strcmp(id, "speed")) snd_config_get_ireal(n, &speed);
        else if (!strcmp(id, "channels")) snd_config_get_integer(n, &channels);
        else if (!strcmp(id, "stuck")) snd_config_get_integer(n, &stuck);
        else if (!strcmp(id, "broken")) snd_config_get_integer(n, &broken);
        else if (!strcmp(id, "life")) snd_config_get_integer(n, &life);
        else if (!strcmp(id, "blocks")) snd_config_get_integer(n, &blocks);
        else if (!strcmp(id, "opening")) snd_config_get_integer(n, &opening);
        else if (strcmp(id, "type") && strcmp(id, "hint") && strcmp(id, "comment")) return -EINVAL;
    }
    if (stream != SND_PCM_STREAM_CAPTURE) return -EINVAL;
    usleep(opening * 1000);
    int error = refusal(state);
    if (error) return error;
    struct clock *clock = find_clock(name, script);
    if (!clock) return -ENOMEM;
    if (clock->is_open) return -EBUSY;
    if (now() < clock->gone_until) return -clock->refused;

    struct device *d = calloc(1, sizeof *d);
    if (!d) return -ENOMEM;
    d->clock = clock;
    d->speed = speed;
    d->zeros = !strcmp(kind, "zeros") ? UINT64_MAX : 0;
    sscanf(kind, "zeros:%" SCNu64, &d->zeros);
    d->nan = !strcmp(kind, "nan");
    d->stuck = stuck != 0;
    d->broken = broken != 0;
    d->life = life;
    d->blocks = blocks != 0;
    if (report_path) d->report = strdup(report_path);
    if (infile && (error = read_samples(d, infile)) < 0) {
        free(d->report);
        free(d);
        return error;
    }
    d->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    d->io.version = SND_PCM_IOPLUG_VERSION;
    d->io.name = "scripted capture";
    d->io.poll_fd = d->timer;
    d->io.poll_events = POLLIN;
    d->io.callback = &callbacks;
    d->io.private_data = d;
    d->io.flags = SND_PCM_IOPLUG_FLAG_MONOTONIC;
    error = snd_pcm_ioplug_create(&d->io, name, stream, mode);
    if (error < 0) {
        close(d->timer);
        free(d->samples);
        free(d->report);
        free(d);
        return error;
    }
    unsigned access[] = {SND_PCM_ACCESS_RW_INTERLEAVED}, list[16], count;
    snd_pcm_ioplug_set_param_list(&d->io, SND_PCM_IOPLUG_HW_ACCESS, 1, access);
    count = parse_list(formats, 1, list, 16);
    snd_pcm_ioplug_set_param_list(&d->io, SND_PCM_IOPLUG_HW_FORMAT, count, list);
    count = parse_list(rates, 0, list, 16);
    snd_pcm_ioplug_set_param_list(&d->io, SND_PCM_IOPLUG_HW_RATE, count, list);
    snd_pcm_ioplug_set_param_minmax(&d->io, SND_PCM_IOPLUG_HW_CHANNELS, channels ? channels : 1, channels ? channels : 8);
    snd_pcm_ioplug_set_param_minmax(&d->io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, 64, 1 << 18);
    snd_pcm_ioplug_set_param_minmax(&d->io, SND_PCM_IOPLUG_HW_BUFFER_BYTES, 256, 1 << 20);
    snd_pcm_ioplug_set_param_minmax(&d->io, SND_PCM_IOPLUG_HW_PERIODS, 2, 1024);
    clock->is_open = 1;
    report(d, "open\n");
    *pcmp = d->io.pcm;
    return 0;
}
SND_PCM_PLUGIN_SYMBOL(scripted);
