import Foundation
import TestSupport
import Testing

extension TemporaryFolder {
    /// Environment in which the PCM `mic` is the one of ``makeScriptedDevice(_:)``.
    var alsa: [String: String] { ["ALSA_CONFIG_PATH": path + "/asound.conf"] }

    /// Compiles the scripted device (Tests/CaptureTests/ScriptedPCM) and names it `mic` in an asoundrc of this folder.
    func makeScriptedDevice(_ settings: String) throws {
        let library = try compileLibrary(
            "Tests/CaptureTests/ScriptedPCM/pcm_scripted.c", as: "libasound_module_pcm_scripted.so", "-DPIC", "-lasound", "-lm")
        try write(
            """
            </usr/share/alsa/alsa.conf>
            pcm_type.scripted { lib "\(library)" }
            pcm.mic { type scripted \(settings) }
            """, to: "asound.conf")
    }

    /// Compiles a C file of the package as a shared library in this folder; returns its path.
    func compileLibrary(_ source: String, as name: String, _ flags: String...) throws -> String {
        let library = path + "/" + name
        let built = try Command(
            "cc", ["-shared", "-fPIC", "-O1", packageRoot.appending(path: source).path, "-o", library] + flags)
        #expect(built.status == 0, "\(built.errors)")
        return library
    }
}
