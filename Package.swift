// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "aumd",
    products: [
        .executable(name: "aumd", targets: ["aumd"]),
        .library(name: "AudioMamba", targets: ["AudioMamba"]),
    ],
    dependencies: [
        // Command line: parsing, help, completions.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        // Reads the configuration file; its nodes keep each value's text, line and column.
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        // The logging interface that libraries and daemon share.
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        // Start, graceful stop and signals of the daemon.
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // eventfd(2) and prctl(2), which Swift's Glibc module leaves out.
        .systemLibrary(name: "CLinux"),
        // Capture from sound cards and every PCM a user's asoundrc names.
        .systemLibrary(name: "CALSA", pkgConfig: "alsa", providers: [.apt(["libasound2-dev"])]),
        // Reads WAV, FLAC, Ogg, Opus and MP3; writes FLAC.
        .systemLibrary(name: "CSndFile", pkgConfig: "sndfile", providers: [.apt(["libsndfile1-dev"])]),
        // The STFT's FFT.
        .systemLibrary(name: "CFFTW3", pkgConfig: "fftw3", providers: [.apt(["libfftw3-dev"])]),
        // Streaming sample rate conversion.
        .systemLibrary(name: "CSampleRate", pkgConfig: "samplerate", providers: [.apt(["libsamplerate0-dev"])]),
        // The journal's native protocol and the service manager's notifications.
        .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        // Takes events to an MQTT broker.
        .systemLibrary(name: "CMosquitto", pkgConfig: "libmosquitto", providers: [.apt(["libmosquitto-dev"])]),

        .target(name: "CKernels"),
        .target(name: "Threads", dependencies: ["CLinux"]),
        .target(name: "Capture", dependencies: ["CALSA", "CSndFile", "Threads"]),
        .target(name: "Frontend", dependencies: ["CFFTW3", "CSampleRate"]),
        .target(name: "AudioMamba", dependencies: ["CKernels"]),
        .target(name: "Tagging"),
        .target(name: "Sinks", dependencies: ["Tagging", "CSystemd", "Threads"], exclude: ["aumd-1.schema.json"]),
        .target(name: "Recordings", dependencies: ["CSndFile", "Sinks", "Tagging", "Threads"]),
        .target(name: "EventClient", dependencies: ["Sinks", "Tagging"]),
        .target(name: "Control", dependencies: ["Settings", "Sinks", "Threads"]),
        .target(name: "MQTT", dependencies: ["CMosquitto", "Control", "EventClient", "Sinks", "Tagging", "Threads"]),
        .target(name: "Settings", dependencies: ["Tagging", .product(name: "Yams", package: "Yams")]),
        .executableTarget(
            name: "aumd",
            dependencies: [
                "Capture", "Frontend", "AudioMamba", "Tagging", "Sinks", "Recordings", "EventClient", "Control", "MQTT", "Settings", "Threads",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            exclude: ["Resources/README.md"],
            resources: [.copy("Resources/model"), .copy("Resources/demo.ogg"), .copy("Resources/demo.json")]),

        // What the tests of several modules are made with.
        .target(name: "TestSupport", path: "Tests/TestSupport", exclude: ["validate_records.py"]),
        .testTarget(name: "CaptureTests", dependencies: ["Capture", "CSndFile", "TestSupport"], exclude: ["ScriptedPCM"]),
        .testTarget(name: "FrontendTests", dependencies: ["Frontend", "TestSupport"], exclude: ["Golden"]),
        .testTarget(name: "AudioMambaTests", dependencies: ["AudioMamba", "CKernels", "TestSupport"], exclude: ["Golden"]),
        .testTarget(name: "TaggingTests", dependencies: ["Tagging", "TestSupport"]),
        .testTarget(name: "SinksTests", dependencies: ["Capture", "Sinks", "Tagging", "TestSupport"], exclude: ["Golden"]),
        .testTarget(name: "RecordingsTests", dependencies: ["CSndFile", "Recordings", "Sinks", "Tagging", "TestSupport"]),
        .testTarget(name: "EventClientTests", dependencies: ["EventClient", "Sinks", "Tagging", "TestSupport"]),
        .testTarget(name: "ControlTests", dependencies: ["Control", "Settings", "Sinks", "TestSupport"]),
        .testTarget(name: "MQTTTests", dependencies: ["Control", "MQTT", "Sinks", "Tagging", "TestSupport", "Threads"]),
        .testTarget(name: "SettingsTests", dependencies: ["Settings", "Tagging", "TestSupport"]),
        .testTarget(name: "aumdTests", dependencies: ["aumd", "CSndFile", "TestSupport"], exclude: ["Golden", "Preloaded"]),
    ],
    swiftLanguageModes: [.v6]
)
