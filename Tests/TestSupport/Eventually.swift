import Foundation

/// Polls a condition that another thread or process brings about.
///
/// - Returns: whether it came to hold within so many seconds.
public func eventually(_ seconds: Double = 5, _ condition: () -> Bool) -> Bool {
    let end = ContinuousClock.now + .seconds(seconds)
    while !condition() {
        if ContinuousClock.now > end { return condition() }
        usleep(5000)
    }
    return true
}
