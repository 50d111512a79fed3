/* The arithmetic of Audio Mamba's blocks, fp32.
 *
 * Symbols: T tokens, D = d_model, E = inner width, N = states, K = convolution width, C = classes.
 * Rows of activations are padded: the distance between two rows (ld…) is the width rounded up to AUMD_LANES, and the
 * padding holds zeros or values that nobody reads. Buffers are 64-byte aligned.
 *
 * Layouts
 *   matrix   (out, in)  packed as [ceil(out/16)][in][16]: 16 outputs side by side, zero-padded
 *   int8     (out, in)  packed as [ceil(out/32)][ceil(in/4)][32][4]: 4 inputs of 32 outputs side by side, zero-padded
 *   channels (E, N)     packed as [ceil(E/16)][N][16]: 16 channels side by side, zero-padded
 *
 * Every output element is summed in one fixed order that does not depend on T, so any split of a sequence into calls
 * gives the same bits. The functions keep no state of their own and may run on any thread.
 */
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stddef.h>
#include <stdint.h>

#define AUMD_LANES 16
#define AUMD_INT8_LANES 32

/* How a matrix' values are kept, and so how it is multiplied:
 *   AUMD_FLOAT32, AUMD_BFLOAT16   in fp32, values widened as they are read
 *   AUMD_INT8                     a token's inputs are rounded to int8 as well, each AUMD_SEGMENT of them with a scale of its
 *                                 own, max |x| / 127; products are summed as integers, and a segment's sum is scaled to fp32
 */
enum { AUMD_FLOAT32, AUMD_BFLOAT16, AUMD_INT8 };
#define AUMD_SEGMENT 2048
/* Rows whose largest value is not above this are rounded to zeros: the inverse of a smaller scale may be infinite. */
#define AUMD_SMALLEST 1e-30f

/* A matrix (out, in) in the matrix layout, and its bias. */
typedef struct aumd_matrix {
    size_t out, in;
    int storage;
    /* float or uint16_t in the matrix layout, int8_t in the int8 layout. */
    const void *values;
    /* AUMD_INT8: what an output's values are multiplied with, (padded out). */
    const float *scale;
    /* AUMD_INT8: an output's sum of values over each segment of inputs, (segments, padded out). */
    const int32_t *totals;
    /* (padded out), or NULL. */
    const float *bias;
} aumd_matrix;

/* Direction of a pass over time: token order, or from the last token to the first. */
enum { AUMD_FORWARD = 1, AUMD_BACKWARD = -1 };

typedef struct aumd_kernels {
    /* For messages and benchmarks: "reference", "baseline", "x86-64-v3", "x86-64-v3+vnni", "x86-64-v4",
     * "x86-64-v4+vnni", "neon". */
    const char *name;
    /* Floats of a vector: 1 in the reference. */
    size_t lanes;

    /* y (T, out) = scale (T) x (T, in) W^T + bias, or += where accumulate is not 0; scale is 1 where it is NULL. */
    void (*linear)(float *y, size_t ldy, const float *x, size_t ldx, const float *scale, const aumd_matrix *w, size_t T,
                   int accumulate);

    /* scale (T) = 1 / sqrt(mean(x^2) + eps) of each row of x (T, width): with the norm's weights in the columns of W, what
     * makes `linear` the projection of the normed x. Zhang and Sennrich 2019, equation 4. */
    void (*inverse_rms)(float *scale, const float *x, size_t ld, size_t T, size_t width, float eps);

    /* Depthwise convolution over time, then SiLU. y, x (T, E); w [K][ld], tap K-1 is the token itself; bias (ld).
     * tail [K-1][ld] holds the K-1 inputs before this call, oldest first, and is moved on. */
    void (*conv_silu)(float *y, const float *x, size_t ld, float *tail, const float *w, const float *bias,
                      size_t T, size_t E, size_t K, int direction);

    /* x (T, width) = ln(1 + e^x), in place. */
    void (*softplus)(float *x, size_t ld, size_t T, size_t width);

    /* Selective scan (Gu and Dao 2023, Algorithm 2; zero-order hold for A, Euler for B):
     *   s = exp(dt A) s + dt x B,   y = (C . s) + d_skip x     added to y where accumulate is not 0,
     * then multiplied by gain SiLU(z) where z is not NULL.
     * y, x, dt, z (T, E); a2 = A log2(e), state in channel layout; bc rows hold B at 0 and C at N, ldbc apart.
     * next: the matrix that is read after it, prefetched meanwhile, as exponentials leave the memory idle; may be NULL. */
    void (*scan)(float *y, const float *x, const float *dt, const float *z, size_t ld, const float *a2, const float *bc,
                 size_t ldbc, const float *d_skip, float *state, size_t T, size_t E, size_t N, int direction,
                 int accumulate, float gain, const aumd_matrix *next);

    /* x (n) = 1 / (1 + e^-x), in place. */
    void (*sigmoid)(float *x, size_t n);

    /* For benchmarks, at least n of each with nothing to wait for: fp32 multiply-adds, int8 ones, exponentials, values read.
     * The results say nothing. */
    float (*limit_multiply_adds)(size_t n);
    float (*limit_int8_multiply_adds)(size_t n);
    float (*limit_exponentials)(size_t n);
    float (*limit_read)(const float *x, size_t n);
} aumd_kernels;

/* Plain loops and libm: what every other version is tested against. */
extern const aumd_kernels aumd_kernels_reference;

/* Versions this processor can run, best first, the reference last; count is at most AUMD_MAX_KERNELS. */
#define AUMD_MAX_KERNELS 6
size_t aumd_kernels_available(const aumd_kernels *list[AUMD_MAX_KERNELS]);

/* Bytes of a matrix in the layout of its storage. */
static inline size_t aumd_matrix_size(size_t out, size_t in, int storage) {
    const size_t lanes = storage == AUMD_INT8 ? AUMD_INT8_LANES : AUMD_LANES;
    const size_t row = storage == AUMD_INT8 ? (in + 3) / 4 * 4 : in * (storage == AUMD_BFLOAT16 ? 2 : 4);
    return (out + lanes - 1) / lanes * lanes * row;
}

/* Writes w (out, in), row-major, into the packed layout, an input's values times gain (in), or 1 where that is NULL; packed
 * holds ceil(out/16)*16*in floats. */
void aumd_pack_matrix(float *packed, const float *w, const float *gain, size_t out, size_t in);

/* Rounds n values to bfloat16, to nearest even. */
void aumd_to_bf16(uint16_t *to, const float *from, size_t n);

/* Rounds w (out, in), row-major, times gain as above, to int8, symmetric, with one scale an output: value = scale * int8.
 * `to` is in the int8 layout; scale and totals as in aumd_matrix. */
void aumd_pack_int8(int8_t *to, float *scale, int32_t *totals, const float *w, const float *gain, size_t out, size_t in);

/* Patches of one column: out (bands, patch_mel*patch_frames), mel-major inside a patch, from frames
 * (patch_frames, bands*patch_mel), each value (x - mean) * scale. */
void aumd_patches(float *out, size_t ldo, const float *frames, size_t bands, size_t patch_mel, size_t patch_frames,
                  float mean, float scale);

/* Widening copies of stored weights. */
void aumd_from_f16(float *to, const void *from, size_t n);
void aumd_from_bf16(float *to, const void *from, size_t n);

/* 1 where all n values are finite. */
int aumd_all_finite(const float *x, size_t n);

/* For a thread that waits in a loop: lets the other thread of its core go on (PAUSE, YIELD). */
static inline void aumd_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
