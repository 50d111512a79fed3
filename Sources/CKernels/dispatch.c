#include "CKernels.h"

extern const aumd_kernels aumd_kernels_v4_vnni, aumd_kernels_v4, aumd_kernels_v3_vnni, aumd_kernels_v3, aumd_kernels_baseline;

size_t aumd_kernels_available(const aumd_kernels *list[AUMD_MAX_KERNELS]) {
    size_t count = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512vnni")) list[count++] = &aumd_kernels_v4_vnni;
    if (__builtin_cpu_supports("x86-64-v4")) list[count++] = &aumd_kernels_v4;
    if (__builtin_cpu_supports("x86-64-v3") && __builtin_cpu_supports("avxvnni")) list[count++] = &aumd_kernels_v3_vnni;
    if (__builtin_cpu_supports("x86-64-v3")) list[count++] = &aumd_kernels_v3;
#endif
    list[count++] = &aumd_kernels_baseline;
    list[count++] = &aumd_kernels_reference;
    return count;
}
