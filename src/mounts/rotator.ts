import type { CronParser } from '../core/cron.ts'
import type { Clock } from '../core/clock.ts'
import { invalidRequest } from '../core/errors.ts'
import type { Publish, RotationEvent } from '../core/events.ts'
import { ownPath, type Mount, type Rotation, type RotationSettings } from '../core/model.ts'
import { createRecent } from '../core/recent.ts'
import type { MountTable } from './mount-table.ts'
import {
  advanced, configured, dueInstant, graceMax, inGrace, jitterMs, turnedOff, withoutEnded, type NameMac
} from './rotation.ts'
import { createSchedule, type Schedule } from './schedule.ts'

/** The shortest time between two firings of a schedule. */
const intervalMsMin = 60_000
/** Names in grace that a schedule may come to by itself. */
const graceIntervalsMax = 100

/** A rotation that somebody asks for; null: whatever the slot is, and the mount's own grace. */
export interface ByHand {
  readonly expectedSlot: number | null
  readonly graceSeconds: number | null
}

/** What a rotation came to. */
export interface Rotated {
  /** false: somebody else did it, and nothing was left to do. */
  readonly rotated: boolean
  /** The present slot. */
  readonly slot: number
}

/** Has what nobody asked for audited: the entry is written before `run`, and its outcome after it. */
export type Journal = (mount: Mount, run: () => Promise<Rotated>) => Promise<void>

export interface RotatorOptions {
  readonly mounts: MountTable
  readonly clock: Clock
  readonly mac: NameMac
  /** The keyring's term that new names are made with. */
  readonly activeTerm: () => number
  readonly parseCron: CronParser
  readonly publish: Publish
  readonly journal: Journal
  readonly onError: (mount: Mount, error: unknown) => void
}

/**
 * Moves slots. Each advance is one commit that holds only if the slot is the one it was decided
 * for, so any number of brokers may try; the name follows from the slot and is drawn by nobody.
 * What it costs does not depend on what a mount holds.
 */
export interface Rotator {
  /** Does what is due on every mount. Call it at start and every second; it may run twice, anywhere. */
  tick (): Promise<void>
  /** @throws BrokerError `invalid_request` when the slot is another one than expected, or too many names are in grace. */
  rotate (mount: Mount, by: ByHand): Promise<Rotated>
  /** What `configure` throws for these settings of a mount, before there is one. */
  check (settings: RotationSettings): void
  /**
   * Begins, or changes how names rotate, from what the mount has when it is written.
   * @throws BrokerError `invalid_request` for settings that cannot be kept.
   */
  configure (mount: Mount, choose: (present: Mount) => RotationSettings): Promise<void>
  turnOff (mount: Mount): Promise<void>
  /** When the schedule comes next, jitter included; null: it does not. */
  nextAtMs (mount: Mount, nowMs: number): number | null
}

export function createRotator (options: RotatorOptions): Rotator {
  const { mounts, clock, mac, activeTerm, publish } = options
  const schedules = createRecent<string, Schedule>(1000)
  const failing = new Set<string>()

  function scheduleOf (cron: string): Schedule {
    const known = schedules.get(cron)
    if (known !== undefined) return known
    const made = createSchedule(options.parseCron(cron))
    schedules.set(cron, made)
    return made
  }

  function due (mount: Mount, nowMs: number): number | null {
    const cron = mount.rotation?.cron ?? null
    return cron === null ? null : dueInstant(mount, scheduleOf(cron).latestAt, mac, nowMs)
  }

  /** Edits a mount's rotation by compare-and-set: `edit` decides anew whenever somebody was quicker. */
  async function change (
    { accessor }: Mount, cause: RotationEvent['cause'], edit: (rotation: Rotation, mount: Mount) => Rotation
  ): Promise<Rotated> {
    let rotated = false
    const mount = await mounts.update(accessor, (present) => {
      const rotation = rotationOf(present)
      const edited = edit(rotation, present)
      rotated = edited.slot !== rotation.slot
      return edited === rotation ? present : { ...present, rotation: edited }
    })
    const rotation = rotationOf(mount)
    if (rotated) publish(rotationEvent(mount, rotation, cause))
    return { rotated, slot: rotation.slot }
  }

  /** Acts upon the last instant that is due, or upon a new key; a no-op where another broker did. */
  function follow (mount: Mount): Promise<Rotated> {
    const cause = due(mount, clock.now()) === null ? 'key' : 'schedule'
    return change(mount, cause, (rotation, present) => {
      const nowMs = clock.now()
      const instantMs = due(present, nowMs)
      const term = activeTerm()
      if (instantMs === null && (!rotation.enabled || rotation.term === term)) return rotation
      const { graceSeconds } = rotation
      const acted = instantMs === null ? {} : { scheduledAtMs: instantMs }
      return advanced(withoutEnded(rotation, nowMs), { nowMs, term, graceSeconds, ...acted })
    })
  }

  async function look (mount: Mount): Promise<void> {
    const { rotation } = mount
    if (rotation === null || mount.state !== 'live') return
    const nowMs = clock.now()
    const isNewKey = rotation.enabled && rotation.term !== activeTerm()
    if (isNewKey || due(mount, nowMs) !== null) await options.journal(mount, () => follow(mount))
    else if (withoutEnded(rotation, nowMs) !== rotation) {
      await change(mount, 'schedule', (present) => withoutEnded(present, clock.now()))
    }
  }

  /** What keeps a mount from its turn keeps no other; it is told once, until it works again. */
  async function lookSafely (mount: Mount): Promise<void> {
    try {
      await look(mount)
      failing.delete(mount.accessor)
    } catch (error) {
      if (!failing.has(mount.accessor)) options.onError(mount, error)
      failing.add(mount.accessor)
    }
  }

  /** What an operator chose, held to what can be kept. */
  function check ({ cron, graceSeconds, jitterSeconds }: RotationSettings): void {
    if (cron === null) return
    const schedule = parsed(cron)
    const least = schedule.leastIntervalMs
    if (least < intervalMsMin) throw invalidRequest('a schedule\'s firings are at least 60 seconds apart')
    if (schedule.nextAfter(clock.now()) === null) throw invalidRequest('the schedule never comes')
    if (jitterSeconds * 1000 >= least) throw invalidRequest('the jitter is not shorter than the time between two firings')
    if (graceSeconds * 1000 > least * graceIntervalsMax) {
      throw invalidRequest(`the grace is longer than ${graceIntervalsMax} times the shortest time between two firings`)
    }
  }

  function parsed (cron: string): Schedule {
    try {
      return scheduleOf(cron)
    } catch (error) {
      throw invalidRequest(error instanceof Error ? error.message : 'the schedule is no cron expression', error)
    }
  }

  return {
    check,
    async tick () {
      for (const { accessor } of mounts.all()) {
        // Others may have been at work while this one waited for the store.
        const mount = mounts.byAccessor(accessor)
        if (mount !== null) await lookSafely(mount)
      }
    },
    async rotate (mount, { expectedSlot, graceSeconds }) {
      // Another broker may have come to it, of which this one has not heard yet.
      const isHere = expectedSlot === null || mounts.byAccessor(mount.accessor)?.rotation?.slot === expectedSlot
      if (!isHere) await mounts.load()
      return change(mount, 'manual', (rotation) => {
        if (!rotation.enabled) throw notRotating()
        if (expectedSlot !== null && expectedSlot !== rotation.slot) {
          throw invalidRequest(`the slot is ${rotation.slot} and not the expected one`)
        }
        const nowMs = clock.now()
        const present = withoutEnded(rotation, nowMs)
        const grace = graceSeconds ?? rotation.graceSeconds
        checkGrace(present, grace)
        return advanced(present, { nowMs, term: activeTerm(), graceSeconds: grace })
      })
    },
    async configure ({ accessor }, choose) {
      let moved = false
      const changed = await mounts.update(accessor, (present) => {
        const settings = choose(present)
        check(settings)
        const nowMs = clock.now()
        const former = present.rotation === null ? null : withoutEnded(present.rotation, nowMs)
        const rotation = configured(former, settings, { nowMs, term: activeTerm() })
        moved = rotation.slot !== former?.slot
        if (moved && former !== null) checkGrace(former, settings.graceSeconds)
        return { ...present, rotation }
      })
      if (moved && changed.rotation !== null) publish(rotationEvent(changed, changed.rotation, 'settings'))
    },
    async turnOff (mount) {
      await mounts.update(mount.accessor, (present) => present.rotation === null || !present.rotation.enabled
        ? present
        : { ...present, rotation: turnedOff(present.rotation, clock.now()) })
    },
    nextAtMs (mount, nowMs) {
      const { rotation } = mount
      if (rotation === null || !rotation.enabled || rotation.cron === null) return null
      const { latestAt, nextAfter } = scheduleOf(rotation.cron)
      // The last instant may still be ahead by its jitter.
      const latest = latestAt(nowMs)
      const instantMs = latest !== null && latest > rotation.scheduledAtMs ? latest : nextAfter(nowMs)
      return instantMs === null ? null : Math.max(nowMs, instantMs + jitterMs(mac, rotation, mount.accessor, instantMs))
    }
  }
}

function rotationOf ({ rotation }: Mount): Rotation {
  if (rotation === null) throw notRotating()
  return rotation
}

/** Whether one more name may be left in grace by hand. */
function checkGrace (rotation: Rotation, graceSeconds: number): void {
  if (graceSeconds === 0 || inGrace(rotation).length < graceMax) return
  throw invalidRequest(`${graceMax} names are in grace: wait for one to end, or end them all with a grace of 0`)
}

function notRotating () {
  return invalidRequest('the names of this mount do not rotate')
}

function rotationEvent (mount: Mount, { slot, past }: Rotation, cause: RotationEvent['cause']): RotationEvent {
  const left = past[0]
  const endsAtMs = left?.endsAtMs ?? null
  const graceSeconds = left === undefined || endsAtMs === null ? 0 : Math.round((endsAtMs - left.replacedAtMs) / 1000)
  return { type: 'rotation', mount: ownPath(mount), slot, cause, graceSeconds }
}
