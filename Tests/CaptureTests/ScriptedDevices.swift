import Capture
import Glibc
import TestSupport
import Testing

/// The scripted capture devices: compiled once from ScriptedPCM/, configured by one asoundrc, opened by name through
/// libasound like any other.
enum ScriptedDevices {
    /// Name → settings of ScriptedPCM/pcm_scripted.c. A name belongs to one test: its script runs once, and it can be open once.
    static let settings: [String: String] = [
        "steady": #"formats "FLOAT_LE""#,
        "fast": #"formats "FLOAT_LE" speed 1.001"#,
        "xruns": #"formats "FLOAT_LE" script "8000:xrun,16000:xrun,24000:xrun,32000:xrun""#,
        "suspended": #"formats "FLOAT_LE" script "12000:suspend""#,
        "unplugged": #"formats "FLOAT_LE" script "16000:gone:1200""#,
        "unplugged_long": #"formats "FLOAT_LE" script "12000:gone:500,46000:gone:300,64000:xrun""#,
        "server": #"formats "FLOAT_LE" script "12000:eio:700""#,
        "stalled": #"formats "FLOAT_LE" script "12000:stall:900,36000:stall:900""#,
        "silent_server": #"formats "FLOAT_LE" script "12000:stall:9000" state "DIR/silent_server""#,
        "slow_beginning": #"formats "FLOAT_LE" script "0:pause:1000""#,
        "slipping": #"formats "FLOAT_LE" script "16000:stall:150""#,
        "numb": #"formats "FLOAT_LE" script "12000:gone:500,20000:stall:3500""#,
        "quiet": #"formats "FLOAT_LE" stuck 1"#,
        "stuck": #"formats "FLOAT_LE" stuck 1"#,
        "broken": #"formats "FLOAT_LE" broken 1"#,
        "flaky": #"formats "FLOAT_LE" life 400"#,
        "fleeting": #"formats "FLOAT_LE" script "20000:gone:0""#,
        "blocks": #"formats "FLOAT_LE" blocks 1"#,
        "hanging": #"formats "FLOAT_LE" opening 20000"#,
        "never": #"formats "FLOAT_LE" opening 20000"#,
        "slow": #"formats "FLOAT_LE" opening 1000"#,
        "overflowing": #"formats "FLOAT_LE""#,
        "zeros": #"formats "FLOAT_LE" kind "zeros""#,
        "zeros_again": #"formats "FLOAT_LE" kind "zeros" script "12000:gone:50""#,
        "muted": #"formats "FLOAT_LE" kind "zeros:24000" script "16000:xrun""#,
        "nan": #"formats "FLOAT_LE" kind "nan""#,
        "absent": #"formats "FLOAT_LE" state "DIR/absent""#,
        "late": #"formats "FLOAT_LE" state "DIR/late""#,
        "busy": #"formats "FLOAT_LE" state "DIR/busy""#,
        "denied": #"formats "FLOAT_LE" state "DIR/denied""#,
        "refused": #"formats "FLOAT_LE" state "DIR/refused""#,
        "down": #"formats "FLOAT_LE" state "DIR/down""#,
        "s16": #"formats "S16_LE""#,
        "fixed": #"formats "S16_LE""#,
        "s24": #"formats "S24_LE""#,
        "s24_3": #"formats "S24_3LE""#,
        "s32": #"formats "S32_LE,S16_LE""#,
        "float": #"formats "FLOAT_LE,S16_LE""#,
        "unsupported": #"formats "MU_LAW""#,
        "stereo": #"formats "FLOAT_LE" channels 2"#,
        "six": #"formats "FLOAT_LE" channels 6"#,
        "usb": #"formats "S16_LE" rates "44100,48000" channels 2"#,
        "cd": #"formats "S16_LE" rates "44100" channels 2"#,
        "studio": #"formats "S32_LE" rates "192000" channels 8"#,
        "twice": #"formats "S16_LE" rates "32000,48000""#,
        "above": #"formats "S16_LE" rates "8000,22050,44100""#,
        "below": #"formats "S16_LE" rates "8000,12000""#,
        "any": #"formats "FLOAT_LE" channels 0"#,
        "stopped": #"formats "FLOAT_LE""#,
        "paused": #"formats "FLOAT_LE""#,
        "paused_first": #"formats "FLOAT_LE""#,
        "paused_gone": #"formats "FLOAT_LE" state "DIR/paused_gone""#,
        "hasty": #"formats "FLOAT_LE""#,
        "listed": #"formats "FLOAT_LE" rates "16000,44100,48000" channels 2 hint { description "A microphone" show on }"#,
    ]

    /// Those that are there behind a plug layer, too.
    private static let plugged: Set = ["s16"]

    /// Where the plug-in, the configuration and state files are. Made at the first use.
    static let directory: String = {
        let directory = temporaryDirectory()
        let source = #filePath.split(separator: "/").dropLast().joined(separator: "/")
        let library = "\(directory)/libasound_module_pcm_scripted.so"
        let status = run(
            "cc", "-shared", "-fPIC", "-DPIC", "-O1", "/\(source)/ScriptedPCM/pcm_scripted.c", "-o", library,
            "-lasound", "-lm")
        precondition(status == 0, "the scripted device does not compile")
        var configuration = """
            </usr/share/alsa/alsa.conf>
            # Or a list of devices would open those that hang, too.
            defaults.namehint.showall off
            pcm_type.scripted { lib "\(library)" }

            """
        for (name, text) in settings {
            let text = text.split(separator: "DIR").joined(separator: directory)
            configuration += "pcm.test_\(name) { type scripted \(text) report \"\(directory)/\(name).report\" }\n"
            if plugged.contains(name) { configuration += "pcm.plug_\(name) { type plug slave.pcm \"test_\(name)\" }\n" }
        }
        configuration += "pcm.misspelt { type hw card 0 crad 1 }\npcm.uninstalled { type nowhere }\n"
        configuration += "pcm.converted { type plug slave { pcm \"null\" rate 48000 } }\n"
        for word in ["absent", "busy", "denied", "refused", "down"] { write(word, to: "\(directory)/\(word)") }
        write("absent", to: "\(directory)/late")
        write(configuration, to: "\(directory)/asoundrc")
        setenv("ALSA_CONFIG_PATH", "\(directory)/asoundrc", 1)
        return directory
    }()

    /// What has happened to a device so far: "open" for every time it was opened, and a line with its setup for every time it started.
    static func report(_ key: String) -> [String] {
        String(decoding: contents("\(directory)/\(key).report"), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    /// How often a device was opened again.
    static func reopenings(_ key: String) -> Int { report(key).count { $0 == "open" } - 1 }

    /// The name to open.
    static func name(_ key: String, plug: Bool = false) -> String {
        _ = directory
        precondition(plug ? plugged.contains(key) : settings[key] != nil)
        return (plug ? "plug_" : "test_") + key
    }
}

/// A folder that is there until the tests end.
func temporaryDirectory() -> String {
    let folder = TemporaryFolder()
    temporaryFolders.append(folder)
    return folder.path
}

/// Removed at exit.
nonisolated(unsafe) private var temporaryFolders: [TemporaryFolder] = {
    atexit { temporaryFolders = [] }
    return []
}()

func write(_ text: String, to path: String) {
    write(Array(text.utf8), to: path)
}

func write(_ bytes: [UInt8], to path: String) {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    precondition(file >= 0)
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        precondition(count > 0)
        rest = rest.dropFirst(count)
    }
    close(file)
}

/// Runs a program and returns its exit status.
func run(_ arguments: String...) -> Int32 {
    var process = pid_t()
    var vector: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for argument in vector { free(argument) } }
    guard posix_spawnp(&process, arguments[0], nil, nil, &vector, environ) == 0 else { return 127 }
    var status: Int32 = 0
    waitpid(process, &status, 0)
    return status & 0x7F == 0 ? status >> 8 & 0xFF : 128
}

/// Runs something that blocks on a thread of its own, so that tests that wait for real time wait together.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
        let work: @Sendable () -> Void = { continuation.resume(returning: body()) }
        let box = Unmanaged.passRetained(Work(work))
        var thread = pthread_t()
        let code = pthread_create(&thread, nil, threadMain, box.toOpaque())
        precondition(code == 0)
        pthread_detach(thread)
    }
}

private final class Work {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

private let threadMain: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { pointer in
    Unmanaged<Work>.fromOpaque(pointer!).takeRetainedValue().body()
    return nil
}

func sleep(milliseconds: Int) {
    usleep(UInt32(milliseconds * 1000))
}
