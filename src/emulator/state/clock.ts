/** The emulator's time. Everything reads it: skew, expiry, propagation, the trail. */
export interface EmulatorClock {
  /** Epoch milliseconds. */
  now (): number
  /** Moves by this many milliseconds, also backwards. */
  advance (ms: number): void
  /** Jumps to this instant (epoch milliseconds); runs on from there unless frozen. */
  set (nowMs: number): void
  /** Time stands still until `resume`; `advance` and `set` still move it. */
  freeze (): void
  resume (): void
  isFrozen (): boolean
}

/** A clock that follows `base` (epoch milliseconds) until it is moved. */
export function createClock (base: () => number = Date.now): EmulatorClock {
  let offsetMs = 0
  let frozenAtMs: number | null = null
  const now = () => frozenAtMs ?? base() + offsetMs

  return {
    now,
    advance (ms) {
      if (frozenAtMs === null) offsetMs += ms
      else frozenAtMs += ms
    },
    set (nowMs) {
      if (frozenAtMs === null) offsetMs = nowMs - base()
      else frozenAtMs = nowMs
    },
    freeze () { frozenAtMs = now() },
    resume () {
      if (frozenAtMs === null) return
      offsetMs = frozenAtMs - base()
      frozenAtMs = null
    },
    isFrozen: () => frozenAtMs !== null
  }
}
