import { createHash } from 'node:crypto'
import type { EmulatorClock } from './clock.ts'

/** How long a region takes to see a change; Infinity for never. Jitter comes on top, uniformly. */
export interface RegionDelay {
  readonly delayMs: number
  readonly jitterMs: number
}

/** The delay of every region, and of those that differ. */
export interface PropagationSettings extends RegionDelay {
  readonly regions: Readonly<Record<string, RegionDelay>>
}

/** A value that is written in one place and seen elsewhere later. null means: does not exist. */
export interface Cell<T> {
  /** What the control plane says: the last value written. */
  current (): T | null
  /** What a region's data plane sees now. */
  seenFrom (region: string): T | null
  set (value: T | null): void
  /** Whether it exists nowhere, so that it can be forgotten. */
  isGone (): boolean
}

export interface Propagation {
  cell<T> (): Cell<T>
  settings (): PropagationSettings
  /** Holds for changes from now on. */
  configure (settings: PropagationSettings): void
}

interface Change<T> {
  readonly value: T | null
  readonly before: T | null
  readonly atMs: number
  readonly sequence: number
  readonly settings: PropagationSettings
}

const changesKeptMax = 1000

/**
 * IAM's eventual consistency: each region sees each change after its delay plus a jitter that
 * depends on the seed, the change and the region alone. A region never goes back: a change
 * that is overtaken by a later one is not seen any more.
 */
export function createPropagation (
  clock: EmulatorClock, seed: string, initial: PropagationSettings
): Propagation {
  let settings = initial
  let sequence = 0

  const visibleAtMs = (change: Change<unknown>, region: string): number => {
    const { delayMs, jitterMs } = Object.hasOwn(change.settings.regions, region)
      ? change.settings.regions[region] ?? change.settings
      : change.settings
    if (jitterMs === 0) return change.atMs + delayMs
    const digest = createHash('sha256').update(`${seed}\n${change.sequence}\n${region}`).digest()
    return change.atMs + delayMs + Math.floor(jitterMs * digest.readUIntBE(0, 6) / 2 ** 48)
  }

  const isInstant = ({ delayMs, jitterMs, regions }: PropagationSettings): boolean =>
    delayMs === 0 && jitterMs === 0 && Object.values(regions).every((one) => one.delayMs === 0 && one.jitterMs === 0)

  const seenEverywhere = (change: Change<unknown>, nowMs: number): boolean => {
    const { delayMs, jitterMs, regions } = change.settings
    const worst = Math.max(delayMs + jitterMs, ...Object.values(regions).map((one) => one.delayMs + one.jitterMs))
    return change.atMs + worst <= nowMs
  }

  return {
    settings: () => settings,
    configure (next) { settings = next },
    cell<T> (): Cell<T> {
      let latest: T | null = null
      let changes: Change<T>[] = []
      return {
        current: () => latest,
        seenFrom (region) {
          const nowMs = clock.now()
          for (let i = changes.length - 1; i >= 0; i--) {
            const change = changes[i]
            if (change !== undefined && visibleAtMs(change, region) <= nowMs) return change.value
          }
          const oldest = changes[0]
          return oldest === undefined ? latest : oldest.before
        },
        set (value) {
          const nowMs = clock.now()
          const seen = changes.findLastIndex((change) => seenEverywhere(change, nowMs))
          changes = changes.slice(seen + 1)
          if (changes.length > 0 || !isInstant(settings)) {
            changes.push({ value, before: latest, atMs: nowMs, sequence: sequence++, settings })
            if (changes.length > changesKeptMax) changes.shift()
          }
          latest = value
        },
        isGone: () => latest === null && changes.every((change) => seenEverywhere(change, clock.now()))
      }
    }
  }
}
