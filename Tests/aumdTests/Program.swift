import Foundation
import TestSupport
import Testing

/// The program as it was built beside these tests.
enum Program {
    static let path: String = {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(filePath: tests).deletingLastPathComponent().appending(path: "aumd").path
    }()

    /// Whether this is a release build.
    static var isOptimised: Bool {
        #if DEBUG
            false
        #else
            true
        #endif
    }

    /// Runs it to its end.
    static func run(_ arguments: String..., environment: [String: String] = [:]) throws -> Command {
        try Command("timeout", limit + [path] + arguments, environment: environment)
    }

    /// Runs a shell line in which `$AUMD` is the program.
    static func shell(_ line: String, environment: [String: String] = [:]) throws -> Command {
        try Command("timeout", limit + ["sh", "-c", line], environment: environment.merging(["AUMD": path]) { $1 })
    }

    /// What hangs fails (status 124), with all that it has started: a test run must end.
    private static let limit = ["-k", "5", "300"]
}

/// A line of NDJSON.
struct Line {
    let fields: [String: Any]

    static func all(_ text: String) throws -> [Line] {
        try text.split(separator: "\n").map { line in
            Line(fields: try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]))
        }
    }

    subscript(key: String) -> String? { fields[key] as? String }
    func number(_ key: String) -> Double? { (fields[key] as? NSNumber)?.doubleValue }
    /// Label and score of each tag.
    var tags: [(label: String, score: Double)] {
        (fields["tags"] as? [[String: Any]] ?? []).map {
            ($0["label"] as? String ?? "", ($0["score"] as? NSNumber)?.doubleValue ?? .nan)
        }
    }

    /// A time field as milliseconds, of either kind.
    func time(_ key: String) -> Double? {
        if let seconds = number(key) { return seconds * 1000 }
        guard let text = self[key] else { return nil }
        return (try? Date(text, strategy: .iso8601.year().month().day().time(includingFractionalSeconds: true)))
            .map { ($0.timeIntervalSince1970 * 1000).rounded() }
    }
}

/// Sound to test with, made from the same numbers each time.
enum Sound {
    /// Bursts of tones, clicks and noise with pauses between, S16 mono at 16 kHz: enough to open and close events.
    static func bursts(seconds: Int) -> [Int16] {
        var generator = SeededRandom(seed: 42)
        func random() -> Double { Double.random(in: -1...1, using: &generator) }
        return (0..<16000 * seconds).map { n in
            let t = Double(n) / 16000
            let part = Int(t / 0.7) % 4
            let sound: Double =
                switch part {
                case 0: 0.4 * sin(2 * .pi * 880 * t) + 0.2 * sin(2 * .pi * 1760 * t)
                case 1: 0.002 * random()
                case 2: 0.5 * random() * exp(-20 * t.truncatingRemainder(dividingBy: 0.1))
                default: 0.3 * sin(2 * .pi * (300 + 200 * sin(2 * .pi * 4 * t)) * t)
                }
            return Int16(sound * 32767)
        }
    }

    /// Thresholds so low that the bursts are told as events by any model: what the tests look at is not what it hears.
    static let everything = "events: {default: {on: 0.02, off: 0.01, cooldown: 0}}\n"

    /// Samples as a WAV file's bytes (RIFF, 16-bit PCM).
    static func wav(_ samples: [Int16], rate: Int = 16000, channels: Int = 1) -> Data {
        var data = Data("RIFF".utf8)
        func append(_ value: some FixedWidthInteger) { withUnsafeBytes(of: value.littleEndian) { data.append(contentsOf: $0) } }
        append(UInt32(36 + 2 * samples.count))
        data.append(contentsOf: "WAVEfmt ".utf8)
        append(UInt32(16))
        append(UInt16(1))
        append(UInt16(channels))
        append(UInt32(rate))
        append(UInt32(2 * rate * channels))
        append(UInt16(2 * channels))
        append(UInt16(16))
        data.append(contentsOf: "data".utf8)
        append(UInt32(2 * samples.count))
        data.append(raw(samples))
        return data
    }

    static func raw(_ samples: [Int16]) -> Data { samples.withUnsafeBytes { Data($0) } }
}
