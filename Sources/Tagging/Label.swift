/// One class of the model: what a score stands for.
public struct Label: Sendable, Equatable {
    /// Display name, as in AudioSet's `class_labels_indices.csv` ("Bark").
    public var name: String
    /// AudioSet's machine id ("/m/05tny_").
    public var mid: String
    /// Indices of every ancestor inside the label set, nearest first ("Dog", then "Animal").
    public var parents: [Int]

    /// A label without checks; `TaggerConfiguration` makes them.
    public init(name: String, mid: String, parents: [Int] = []) {
        self.name = name
        self.mid = mid
        self.parents = parents
    }
}

/// When a label's scores become an event.
///
/// The defaults suit a calibrated sigmoid score; a model folder's `thresholds` and the user's configuration replace
/// them label by label.
public struct LabelRule: Sendable, Equatable {
    /// A score at or above this starts an event. 0.5: the model holds the sound for more likely than not.
    public var on: Float
    /// Opens a provisional event in place of `on`: reached by the score, or by what it will be one column later if its log odds go
    /// on rising as over the last two columns. nil: `on`, reached by the score itself. Without right context scores rise later: a
    /// lower threshold reports sooner, and more of what it reports is retracted.
    public var provisionalOn: Float?
    /// The event lasts while scores stay at or above this (hysteresis), `off <= on`. 0.3: a dip inside a sound, such
    /// as a pause between words, keeps it in one piece.
    public var off: Float
    /// Seconds that the score has to stay up before an event opens, rounded up to whole columns. Up to one column
    /// (0.16 s) costs no delay, each further column delays the provisional opening by 0.16 s. 0: a click counts.
    public var minimumDuration: Double
    /// Events of the label that would follow each other by fewer seconds are one: an event has ended when its score stayed
    /// down for so long. 0.5: steps, barks and words in quick succession, and a score that flickers, are one event.
    public var minimumGap: Double
    /// Seconds after the offset of an event of the label, or of a descendant's, in which no event of the label starts; a sound
    /// that goes on beyond them counts from their end. 0: whatever comes later is another event.
    public var cooldown: Double
    /// A label whose scores hover, as a steady noise makes them, is harder to open: its `on`, and `provisionalOn`, are so many log odds
    /// higher for each that its score was above 0.02, outside its events, on the mean of the last seconds. 0: they are what they are.
    public var habituation: Float
    /// A muted label makes no event, and its score never absorbs or renames another label's event.
    public var mute: Bool
    /// Labels of one group share an event: it opens with the first member (the most specific, then the strongest, where several
    /// start in one column) and keeps its name, except that a descendant of that name renames it as usual; members that start later
    /// join it, and it closes when the last one ends. The cooldown then holds for all members.
    public var group: String?

    /// A rule without checks; `TaggerConfiguration` makes them.
    public init(
        on: Float = 0.5, off: Float = 0.3, provisionalOn: Float? = nil, minimumDuration: Double = 0,
        minimumGap: Double = 0.5, cooldown: Double = 0, habituation: Float = 0, mute: Bool = false, group: String? = nil
    ) {
        self.on = on
        self.off = off
        self.provisionalOn = provisionalOn
        self.minimumDuration = minimumDuration
        self.minimumGap = minimumGap
        self.cooldown = cooldown
        self.habituation = habituation
        self.mute = mute
        self.group = group
    }
}
