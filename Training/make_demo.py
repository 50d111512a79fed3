#!/usr/bin/env python3
"""Makes the scene that `aumd listen --demo` plays: Sources/aumd/Resources/demo.ogg and, beside it, demo.json.

    apt-get install espeak-ng fluidsynth fluid-soundfont-gm sox
    pip install numpy soundfile
    python3 Training/make_demo.py

Nine sounds, one after the other, in a room with quiet noise. demo.json lists their AudioSet names with onset and offset
in seconds, measured on each sound alone. Every run gives the same samples (Ogg's stream number alone is drawn anew).
"""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000
SOUNDFONT = "/usr/share/sounds/sf2/FluidR3_GM.sf2"
OUTPUT = Path(__file__).resolve().parent.parent / "Sources/aumd/Resources"
TEXT = "Listen. After these words you will hear music, a telephone, and other sounds of a house."
PERCUSSION = 9  # MIDI channel

LEVEL = -23  # dBFS, RMS of each sound
NOISE_LEVEL = -60  # dBFS, RMS of the room
FLOOR = -50  # dBFS in 10 ms, below which a sound counts as over
PAUSE = 1.2  # seconds between an offset and the next onset


def decibels(x):
    return 10 * np.log10(np.mean(np.square(x), axis=-1) + 1e-12)


def midi(notes, program=0, channel=0):
    """A standard MIDI file of (onset, duration, key, velocity) in seconds; one tick is 1 ms. Programs count from 0."""
    events = [(0, bytes([0xC0 | channel, program]))]
    for onset, duration, key, velocity in notes:
        events.append((round(1000 * onset), bytes([0x90 | channel, key, velocity])))
        events.append((round(1000 * (onset + duration)), bytes([0x80 | channel, key, 0])))
    events.sort(key=lambda event: event[0])
    events.append((events[-1][0], b"\xff\x2f\x00"))
    track = b"\x00\xff\x51\x03" + (1_000_000).to_bytes(3, "big")
    before = 0
    for time, message in events:
        delta = time - before
        track += bytes([0x80 | delta >> 14 & 0x7F, 0x80 | delta >> 7 & 0x7F, delta & 0x7F]) + message
        before = time
    header = b"MThd" + (6).to_bytes(4, "big") + b"".join(n.to_bytes(2, "big") for n in (0, 1, 1000))
    return header + b"MTrk" + len(track).to_bytes(4, "big") + track


def load(path):
    """Any sound file as mono samples at RATE."""
    converted = path.with_suffix(".16k.wav")
    subprocess.run(["sox", "-V1", "-R", "-D", path, "-e", "float", "-b", "32", "-r", str(RATE), "-c", "1", converted], check=True)
    return soundfile.read(converted, dtype="float64")[0]


def play(folder, *score, **instrument):
    """What FluidSynth makes of notes."""
    song, wave = folder / "song.mid", folder / "song.wav"
    song.write_bytes(midi(*score, **instrument))
    subprocess.run(
        ["fluidsynth", "-niq", "-g", "0.5", "-r", "44100", "-O", "float", "-F", wave, SOUNDFONT, song],
        check=True, stdout=subprocess.DEVNULL)
    return load(wave)


def speak(folder, text):
    wave = folder / "speech.wav"
    subprocess.run(["espeak-ng", "-v", "en-gb", "-s", "150", "-w", wave, text], check=True)
    return load(wave)


def finish(sound, longest):
    """A sound at its level, from the first to the last 10 ms that are louder than the floor, faded out."""
    frame = RATE // 100

    def audible(x):
        loud = np.flatnonzero(decibels(x[: len(x) // frame * frame].reshape(-1, frame)) > FLOOR)
        return x[loud[0] * frame : (loud[-1] + 1) * frame]

    sound = audible(sound)[: int(longest * RATE)].copy()
    sound *= 10 ** ((LEVEL - decibels(sound)) / 20)
    sound *= min(1, 0.9 / np.max(np.abs(sound)))
    fade = int(0.3 * RATE)
    sound[-fade:] *= np.cos(np.linspace(0, np.pi / 2, fade)) ** 2
    return audible(sound)


def sequence(keys, step, velocity=96, hold=1.0):
    return [(i * step, hold * step, key, velocity) for i, key in enumerate(keys)]


def sounds(folder):
    """(AudioSet name, samples) in the order of the scene."""
    yield "Speech", finish(speak(folder, TEXT), 6)
    melody = sequence([64, 67, 72, 71, 67, 64, 65, 69, 74, 72, 69, 65, 67, 71, 74, 77], 0.22)
    chords = [(i * 0.88, 0.88, key, 80) for i, chord in enumerate([(48, 55), (53, 57), (50, 57), (43, 55)]) for key in chord]
    yield "Piano", finish(play(folder, melody + chords), 4)
    yield "Telephone bell ringing", finish(play(folder, sequence([60, 60], 2, 110, hold=0.8), program=124), 4)
    yield "Applause", finish(play(folder, [(0, 3.5, 60, 110)], program=126), 3.5)
    yield "Chirp, tweet", finish(play(folder, sequence([64, 60, 66, 62], 0.8, hold=0.9), program=123), 3.2)
    beat = [(i * 0.2, 0.1, 42, 90) for i in range(16)]
    beat += [(i * 0.8, 0.1, 36, 120) for i in range(4)] + [(0.4 + i * 0.8, 0.1, 38, 115) for i in range(4)]
    yield "Drum kit", finish(play(folder, beat, channel=PERCUSSION), 3.4)
    yield "Helicopter", finish(play(folder, [(0, 3.5, 48, 110)], program=125), 3.5)
    strums = [
        (i * 0.8 + n * 0.015, 0.75, key, 100)
        for i, chord in enumerate([(43, 47, 50, 55, 59, 67), (48, 52, 55, 60, 64), (50, 57, 62, 66), (43, 47, 50, 55, 59, 67)])
        for n, key in enumerate(chord)
    ]
    yield "Acoustic guitar", finish(play(folder, strums, program=25), 3.5)
    yield "Waves, surf", finish(play(folder, [(0, 4, 60, 110)], program=122), 4)


def room(count):
    """Noise whose power falls with 1/f, as in a quiet room."""
    spectrum = np.fft.rfft(np.random.default_rng(2026).standard_normal(count))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    noise = np.fft.irfft(spectrum * (np.arange(len(spectrum)) * RATE / count > 30), count)
    return noise * 10 ** ((NOISE_LEVEL - decibels(noise)) / 20)


def main():
    scene, labels, time = [], [], PAUSE
    with tempfile.TemporaryDirectory() as folder:
        for label, sound in sounds(Path(folder)):
            offset = time + len(sound) / RATE
            labels.append({"label": label, "onset": round(time, 2), "offset": round(offset, 2)})
            scene += [np.zeros(int(PAUSE * RATE)), sound]
            time = offset + PAUSE
    scene = np.concatenate([*scene, np.zeros(int(2 * PAUSE * RATE))])
    scene += room(len(scene))
    soundfile.write(OUTPUT / "demo.ogg", scene, RATE, format="OGG", subtype="OPUS", compression_level=0.85)
    text = "[\n" + ",\n".join("  " + json.dumps(label) for label in labels) + "\n]\n"
    (OUTPUT / "demo.json").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
