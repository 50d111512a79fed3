// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "aumd",
    products: [
        .executable(name: "aumd", targets: ["aumd"]),
        .library(name: "AudioMamba", targets: ["AudioMamba"]),
    ],
    targets: [
        // eventfd(2), which Swift's Glibc module leaves out.
        .systemLibrary(name: "CLinux"),
        // Capture from sound cards and every PCM a user's asoundrc names.
        .systemLibrary(name: "CALSA", pkgConfig: "alsa", providers: [.apt(["libasound2-dev"])]),
        // Reads WAV, FLAC, Ogg, Opus and MP3.
        .systemLibrary(name: "CSndFile", pkgConfig: "sndfile", providers: [.apt(["libsndfile1-dev"])]),
        // The STFT's FFT.
        .systemLibrary(name: "CFFTW3", pkgConfig: "fftw3", providers: [.apt(["libfftw3-dev"])]),
        // Streaming sample rate conversion.
        .systemLibrary(name: "CSampleRate", pkgConfig: "samplerate", providers: [.apt(["libsamplerate0-dev"])]),
        // The journal's native protocol and the service manager's notifications.
        .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),

        .target(name: "CKernels"),
        .target(name: "Capture", dependencies: ["CALSA", "CLinux", "CSndFile"]),
        .target(name: "Frontend", dependencies: ["CFFTW3", "CSampleRate"]),
        .target(name: "AudioMamba", dependencies: ["CKernels"]),
        .target(name: "Tagging"),
        .target(name: "Sinks", dependencies: ["Tagging", "CSystemd"], exclude: ["aumd-1.schema.json"]),
        .testTarget(name: "TaggingTests", dependencies: ["Tagging"]),
        .testTarget(
            name: "SinksTests", dependencies: ["Sinks", "Tagging"], exclude: ["Golden"]),

        .executableTarget(
            name: "aumd",
            dependencies: ["Capture", "Frontend", "AudioMamba", "Tagging", "Sinks"]),

        .testTarget(name: "AudioMambaTests", dependencies: ["AudioMamba", "CKernels"], exclude: ["Golden"]),
        .testTarget(name: "FrontendTests", dependencies: ["Frontend", "AudioMamba"], exclude: ["Golden"]),
        .testTarget(
            name: "CaptureTests", dependencies: ["Capture", "CSndFile"], exclude: ["ScriptedPCM"]),
    ],
    swiftLanguageModes: [.v6]
)
