"""Ancestors inside the label set: AudioSet's ontology, as far as the corpus labels follow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

#: Parent of each label that has one. Siblings that AudioSet keeps apart stay apart.
_PARENT = {
    "Baby cry, infant cry": "Crying, sobbing",
    "Dog": "Animal", "Bark": "Dog", "Cat": "Animal", "Meow": "Cat",
    "Cattle, bovinae": "Animal", "Moo": "Cattle, bovinae", "Pig": "Animal", "Oink": "Pig",
    "Sheep": "Animal", "Bleat": "Sheep",
    "Chicken, rooster": "Animal", "Cluck": "Chicken, rooster", "Crowing, cock-a-doodle-doo": "Chicken, rooster",
    "Bird": "Animal", "Bird vocalization, bird call, bird song": "Bird",
    "Chirp, tweet": "Bird vocalization, bird call, bird song", "Crow": "Bird", "Caw": "Crow",
    "Insect": "Animal", "Cricket": "Insect", "Fly, housefly": "Insect", "Buzz": "Fly, housefly",
    "Frog": "Animal", "Croak": "Frog",
    "Musical instrument": "Music", "Guitar": "Musical instrument", "Electric guitar": "Guitar",
    "Bass guitar": "Guitar", "Acoustic guitar": "Guitar", "Strum": "Guitar", "Piano": "Musical instrument",
    "Organ": "Musical instrument", "Percussion": "Musical instrument", "Drum kit": "Percussion", "Drum": "Percussion",
    "Snare drum": "Drum", "Bass drum": "Drum", "Cymbal": "Percussion", "Hi-hat": "Cymbal",
    "Tubular bells": "Percussion", "Marimba, xylophone": "Percussion", "Brass instrument": "Musical instrument",
    "Trumpet": "Brass instrument", "Violin, fiddle": "Musical instrument", "Cello": "Musical instrument",
    "Flute": "Musical instrument", "Saxophone": "Musical instrument", "Harp": "Musical instrument",
    "Accordion": "Musical instrument", "Church bell": "Bell",
    "Thunder": "Thunderstorm", "Rain": "Water", "Ocean": "Water", "Waves, surf": "Ocean", "Crackle": "Fire",
    "Car": "Vehicle", "Vehicle horn, car horn, honking": "Car", "Train": "Vehicle", "Aircraft": "Vehicle",
    "Helicopter": "Aircraft", "Fixed-wing aircraft, airplane": "Aircraft", "Chainsaw": "Engine",
    "Knock": "Door", "Creak": "Door", "Toilet flush": "Water", "Computer keyboard": "Typing",
    "Alarm clock": "Alarm", "Siren": "Alarm", "Tick": "Clock", "Tick-tock": "Clock",
    "Fireworks": "Explosion", "Shatter": "Glass", "Drip": "Liquid", "Pour": "Liquid",
    "Mains hum": "Noise", "White noise": "Noise", "Pink noise": "Noise",
}


def ancestors(labels: list[str]) -> dict[str, list[str]]:
    """Every label that has ancestors inside `labels`, nearest first."""
    out: dict[str, list[str]] = {}
    for label in labels:
        chain, node = [], label
        while node in _PARENT:
            node = _PARENT[node]
            if node in labels:
                chain.append(node)
        if chain:
            out[label] = chain
    return out


def leaves(labels: Sequence[str], parents: Mapping[str, Sequence[str]]) -> list[str]:
    """The labels that are no other one's ancestor."""
    above = {ancestor for label in labels for ancestor in parents.get(label, ())}
    return [label for label in labels if label not in above]


def unsaid(labels: Sequence[str], names: Sequence[str], parents: Mapping[str, Sequence[str]]) -> list[str]:
    """Of `names`, what a clip with these labels may also be: their ancestors, and the descendants of its most specific ones.

    Whoever labelled a clip "Music" did not say that there is no guitar in it.
    """
    own = set(leaves(labels, parents))
    above = {ancestor for label in own for ancestor in parents.get(label, ())}
    return [name for name in names if name not in labels and (name in above or own.intersection(parents.get(name, ())))]


def related(names: Sequence[str], parents: Mapping[str, Sequence[str]]) -> np.ndarray:
    """(C, C) bool: labels that are the same, or one the other's ancestor."""
    index = {name: i for i, name in enumerate(names)}
    out = np.eye(len(names), dtype=bool)
    for name, chain in parents.items():
        for parent in chain:
            out[index[name], index[parent]] = out[index[parent], index[name]] = True
    return out
