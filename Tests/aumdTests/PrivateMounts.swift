import Foundation
import TestSupport

/// A mount namespace of its own for a program (unshare(1)), in which the system's files can be others.
enum PrivateMounts {
    /// That takes root, and a kernel that lets this root do it.
    static let areAllowed: Bool = {
        let folder = TemporaryFolder()
        return (try? run("--version", asSystemConfiguration: folder.path))?.status == 0
    }()

    /// Runs the program with these arguments where a folder is /etc/aumd.
    static func run(_ arguments: String, asSystemConfiguration folder: String) throws -> Command {
        let layers = TemporaryFolder()
        return try Program.shell(
            """
            unshare --mount sh -ec '
                mount -t tmpfs none \(layers.path)
                mkdir \(layers.path)/upper \(layers.path)/work
                mount -t overlay -o lowerdir=/etc,upperdir=\(layers.path)/upper,workdir=\(layers.path)/work overlay /etc
                mkdir -p /etc/aumd
                mount --bind \(folder) /etc/aumd
                exec "$AUMD" \(arguments)'
            """)
    }
}
