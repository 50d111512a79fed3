extension String {
    /// A label's words in small letters, joined by `_`: of "Chirp, tweet" chirp_tweet. Fit for a topic and for a file's name.
    package var joinedWords: String {
        lowercased().split { !($0.isLetter || $0.isNumber) }.joined(separator: "_")
    }
}
