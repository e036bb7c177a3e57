// Two short tones when a queue comes into trouble, if somebody wants them.

const TONES = [
  { hertz: 660, at: 0 },
  { hertz: 495, at: 0.22 },
];
const LENGTH_S = 0.3;
const LOUDNESS = 0.25;

export class Chime {
  #context = null;
  #isOn = false;

  get isOn() {
    return this.#isOn;
  }

  // A browser plays nothing before somebody has touched the page, unless it is told to; it goes on
  // by itself then.
  set(isOn) {
    this.#isOn = isOn;
    if (!isOn) return;
    this.#context ??= new AudioContext();
    this.#context.resume();
  }

  ring() {
    if (!this.#isOn || this.#context.state !== "running") return;
    for (const { hertz, at } of TONES) this.#tone(hertz, this.#context.currentTime + at);
  }

  #tone(hertz, at) {
    const source = new OscillatorNode(this.#context, { frequency: hertz });
    const volume = new GainNode(this.#context, { gain: 0 });
    volume.gain.setValueAtTime(0, at);
    volume.gain.linearRampToValueAtTime(LOUDNESS, at + 0.02);
    volume.gain.linearRampToValueAtTime(0, at + LENGTH_S);
    source.connect(volume).connect(this.#context.destination);
    source.start(at);
    source.stop(at + LENGTH_S);
  }
}
