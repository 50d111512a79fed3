import AudioMamba
import Foundation
import Testing

@Suite("Hidden states' files")
struct HiddenStateTests {
    @Test("A hidden state of another model is refused")
    func foreignState() throws {
        let path = try SmallModel.folder(), other = try SmallModel.folder { $0["name"] = "other" }, state = temporaryPath("state")
        defer { [path, other, state].forEach(remove) }
        try HiddenState(of: Model(directory: path)).save(to: state)
        let model = try Model(directory: other)
        #expect(throws: ModelError.self) { try HiddenState(contentsOf: state, model: model) }
    }

    @Test("A hidden state's file that is damaged in any way is refused with a sentence about that file")
    func damagedState() throws {
        let path = try SmallModel.folder(), state = temporaryPath("state")
        defer { [path, state].forEach(remove) }
        let model = try Model(directory: path)
        func refusal() -> String {
            do throws(ModelError) {
                _ = try HiddenState(contentsOf: state, model: model)
                return "accepted"
            } catch { return error.description }
        }
        #expect(refusal() == "\(state) cannot be read: No such file or directory; look at the file and its permissions.")
        try HiddenState(of: model).save(to: state)
        #expect(refusal() == "accepted")
        let whole = try Data(contentsOf: URL(filePath: state))
        func replacing(_ part: String, _ other: String) -> Data {
            var data = whole
            data.replaceSubrange(data.firstRange(of: Data(part.utf8))!, with: Data(other.utf8))
            return data
        }
        let damaged = [
            Data(), whole.prefix(100), whole.dropLast(), replacing("aumd-hidden-state/1", "aumd-hidden-state/2"),
            replacing("\"format\"", "\"frmat\" "), replacing("\"model\"", "\"mdel\" "), replacing("\"hidden_state\"", "\"hidden-state\""),
            replacing("F32", "I32"), whole.dropLast(4) + withUnsafeBytes(of: Float.nan) { Data($0) },
            try SmallModel.tensors("F32"),
        ]
        for data in damaged {
            try data.write(to: URL(filePath: state))
            #expect(refusal() == "\(state) is not a usable hidden state; delete it to start afresh.")
        }
    }

    @Test("A hidden state is its model's, whatever that is called", arguments: ["\"quoted\"", "back\\slash", "ümläut \u{1F3A4}", "two\nlines"])
    func names(name: String) throws {
        let path = try SmallModel.folder { $0["name"] = name }, state = temporaryPath("state")
        defer { [path, state].forEach(remove) }
        let model = try Model(directory: path)
        try HiddenState(of: model).save(to: state)
        #expect(try HiddenState(contentsOf: state, model: model) == HiddenState(of: model))
    }
}
