#include "CKernels.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

void aumd_pack_matrix(float *packed, const float *w, const float *gain, size_t out, size_t in) {
    size_t blocks = (out + AUMD_LANES - 1) / AUMD_LANES;
    memset(packed, 0, blocks * AUMD_LANES * in * sizeof *packed);
    for (size_t o = 0; o < out; o++)
        for (size_t i = 0; i < in; i++)
            packed[(o / AUMD_LANES * in + i) * AUMD_LANES + o % AUMD_LANES] = w[o * in + i] * (gain ? gain[i] : 1.0f);
}

void aumd_to_bf16(uint16_t *to, const float *from, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, from + i, sizeof bits);
        to[i] = (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
    }
}

void aumd_pack_int8(int8_t *to, float *scale, int32_t *totals, const float *w, const float *gain, size_t out, size_t in) {
    size_t rows = (out + AUMD_LANES - 1) / AUMD_LANES * AUMD_LANES, steps = (in + 3) / 4;
    size_t segments = (in + AUMD_SEGMENT - 1) / AUMD_SEGMENT;
    memset(to, 0, aumd_matrix_size(out, in, AUMD_INT8));
    memset(scale, 0, rows * sizeof *scale);
    memset(totals, 0, segments * rows * sizeof *totals);
    for (size_t o = 0; o < out; o++) {
        float largest = 0.0f;
        for (size_t i = 0; i < in; i++) largest = fmaxf(largest, fabsf(w[o * in + i] * (gain ? gain[i] : 1.0f)));
        scale[o] = largest / 127.0f;
        float inverse = largest > AUMD_SMALLEST ? 127.0f / largest : 0.0f;
        for (size_t i = 0; i < in; i++) {
            int8_t value = (int8_t)lrintf(w[o * in + i] * (gain ? gain[i] : 1.0f) * inverse);
            to[((o / AUMD_INT8_LANES * steps + i / 4) * AUMD_INT8_LANES + o % AUMD_INT8_LANES) * 4 + i % 4] = value;
            totals[i / AUMD_SEGMENT * rows + o] += value;
        }
    }
}

void aumd_patches(float *out, size_t ldo, const float *frames, size_t bands, size_t patch_mel, size_t patch_frames,
                  float mean, float scale) {
    for (size_t band = 0; band < bands; band++)
        for (size_t m = 0; m < patch_mel; m++)
            for (size_t t = 0; t < patch_frames; t++)
                out[band * ldo + m * patch_frames + t] =
                    (frames[t * bands * patch_mel + band * patch_mel + m] - mean) * scale;
}

void aumd_from_bf16(float *to, const void *from, size_t n) {
    const unsigned char *bytes = from;
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, bytes + 2 * i, sizeof half);
        uint32_t bits = (uint32_t)half << 16;
        memcpy(to + i, &bits, sizeof bits);
    }
}

void aumd_from_f16(float *to, const void *from, size_t n) {
    const unsigned char *bytes = from;
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, bytes + 2 * i, sizeof half);
        uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 0x3FF;
        float value;
        if (exponent == 0) {
            value = (float)fraction * 0x1p-24f;
        } else {
            uint32_t bits = (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
            memcpy(&value, &bits, sizeof value);
        }
        to[i] = sign ? -value : value;
    }
}

int aumd_all_finite(const float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return 0;
    return 1;
}
