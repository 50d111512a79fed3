import Foundation
import TestSupport
import Testing

@Suite("aumd follow")
struct FollowTests {
    private let folder = TemporaryFolder()

    /// A sound, and settings with which it makes events.
    private func prepare(seconds: Int) throws {
        try Sound.wav(Sound.bursts(seconds: seconds)).write(to: URL(filePath: folder.file("bursts.wav")))
        try folder.write(Sound.everything, to: "all.yaml")
    }

    /// Runs lines of shell in which `listen` listens to the sound, for whoever follows socket `s`.
    private func shell(_ script: String) throws -> Command {
        try Program.shell(
            """
            listen() { "$AUMD" listen --config all.yaml --socket s --source bursts.wav --pace --format ndjson; }
            cd '\(folder.path)'
            \(script)
            """)
    }

    @Test("It waits for a daemon, prints its records as they are, and goes on with the next one")
    func restarts() throws {
        try prepare(seconds: 3)
        let result = try shell(
            """
            "$AUMD" follow --socket s > followed 2> errors & follower=$!
            until grep -q 'No such file' errors; do sleep 0.1; done
            listen > first
            until [ "$(grep -c 'it was closed' errors)" = 1 ]; do sleep 0.1; done
            listen > second
            until [ "$(grep -c 'it was closed' errors)" = 2 ]; do sleep 0.1; done
            kill $follower
            """)
        #expect(result.status == 0, "\(result.errors)")
        let followed = try folder.read("followed").split(separator: "\n")
        let (first, second) = (try folder.read("first").split(separator: "\n"), try folder.read("second").split(separator: "\n"))
        // It tries each second: what came before is told of open events and the last status alone.
        for lines in [first, second] {
            let tail = lines.suffix(5)
            #expect(followed.indices.contains { followed[$0...].prefix(5).elementsEqual(tail) })
        }
        #expect(followed.last == second.last)
        #expect(Set(followed).isSubset(of: Set(first + second)))
    }

    @Test("A command gets the record and what is in it, one at a time, and its failure is told of and changes nothing")
    func command() throws {
        try prepare(seconds: 4)
        let result = try shell(
            """
            "$AUMD" follow --socket s --phase close --exec 'cat >> records
            echo "$EVENT_PHASE|$EVENT_ID|$EVENT_LABEL|$EVENT_ONSET|$EVENT_DURATION|$EVENT_FILE" >> variables
            yes | head -1 > /dev/null; exit 3' 2> errors & follower=$!
            until grep -q 'No such file' errors; do sleep 0.1; done
            listen > lines
            until grep -q 'it was closed' errors; do sleep 0.1; done
            kill $follower
            """)
        #expect(result.status == 0, "\(result.errors)")
        let closed = try Line.all(folder.read("lines")).filter { $0["phase"] == "close" }
        #expect(closed.count > 2)
        let records = try Line.all(folder.read("records"))
        #expect(records.count > 2 && records.compactMap { $0["id"] } == closed.suffix(records.count).compactMap { $0["id"] })
        let expected = try records.map { record in
            "close|\(try #require(record["id"]))|\(try #require(record["label"]))|\(try #require(record["onset"]))|\(try #require(record.number("duration")))|"
        }
        #expect(try folder.read("variables").split(separator: "\n").map(String.init) == expected)
        #expect(try folder.read("errors").components(separatedBy: "The command ended with status 3").count == records.count + 1)
    }

    @Test("It ends quietly once nobody reads what it prints, also while it waits")
    func readerGone() throws {
        try prepare(seconds: 2)
        for wait in ["listen > lines", ":"] {
            let result = try shell("{ \"$AUMD\" follow --socket s 2> errors; echo $? > status; } | sleep 2 &\n\(wait)\nwait; cat status")
            #expect(result.output == "0\n", "\(result.errors)")
        }
    }

    @Test("What it cannot work with it says in one sentence", arguments: [
        ("--label Brak", "the model has no label \"Brak\"; the nearest is \"Bark\"."), ("--phase end", "The value 'end' is invalid for '--phase <phase>'"),
        ("--type events", "The value 'events' is invalid for '--type <type>'"),
    ])
    func errors(options: String, sentence: String) throws {
        let result = try Program.shell("\"$AUMD\" follow \(options)")
        #expect(result.status == 64 && result.errors.contains(sentence), "\(result.errors)")
    }
}
