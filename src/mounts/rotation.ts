import type { Mount, PastName, Rotation, RotationSettings } from '../core/model.ts'

/** Former names of a mount that are recognised after their grace, the last ones. */
export const retiredMax = 64
/** Names that rotation by hand may leave in grace at once; a schedule adds at most as many. */
export const graceMax = 128
/** Slots ahead of ours whose names are taken for present: brokers learn of an advance within half a second. */
export const aheadMax = 4

const alphabet = '0123456789abcdefghijklmnopqrstuv'
const macBytes = 16

/**
 * HMAC-SHA256 under the keyring's `mountname` key of a term, over its parts, each behind its length;
 * null where that key was destroyed.
 */
export type NameMac = (term: number, parts: readonly string[]) => Buffer | null

/**
 * What follows the prefix in a slot: 26 lower-case base32hex characters (RFC 4648 section 7, without
 * padding) of the first 128 bits of an HMAC over the mount's accessor and the slot (CRY-027).
 */
export function deriveName (mac: NameMac, term: number, accessor: string, slot: number): string | null {
  const bytes = mac(term, ['name', accessor, String(slot)])
  if (bytes === null) return null
  let text = ''
  let bits = 0
  let value = 0
  for (let i = 0; i < macBytes; i++) {
    value = value << 8 | (bytes[i] ?? 0)
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += alphabet[value >> bits & 31]
    }
    value &= (1 << bits) - 1
  }
  return text + (alphabet[value << (5 - bits) & 31] ?? '')
}

/** How much later than its instant a firing comes, ms: the same on every broker, known to nobody else. */
export function jitterMs (
  mac: NameMac, { term, jitterSeconds }: Pick<Rotation, 'term' | 'jitterSeconds'>, accessor: string, instantMs: number
): number {
  if (jitterSeconds === 0) return 0
  const bytes = mac(term, ['jitter', accessor, String(instantMs)])
  return (bytes?.readUInt32BE(0) ?? 0) % (jitterSeconds * 1000)
}

/** Why the slot moves, and what becomes of the name that it leaves. */
export interface Advance {
  readonly nowMs: number
  readonly term: number
  /** 0: the name ends at once, and so do those that are in grace. */
  readonly graceSeconds: number
  /** The instant of the schedule that this acts upon; absent: by hand. */
  readonly scheduledAtMs?: number
}

/**
 * The next slot. Grace is counted from now, when the new name begins to be served (SEC-228). A former
 * name never comes back: it is in `past` until its grace ends, and what is not there is retired.
 */
export function advanced (rotation: Rotation, { nowMs, term, graceSeconds, scheduledAtMs }: Advance): Rotation {
  const left: PastName = {
    slot: rotation.slot,
    term: rotation.term,
    prefix: rotation.prefix,
    replacedAtMs: nowMs,
    endsAtMs: graceSeconds === 0 ? null : nowMs + graceSeconds * 1000
  }
  const past = graceSeconds === 0 ? rotation.past.map(ended) : rotation.past
  return {
    ...rotation,
    slot: rotation.slot + 1,
    term,
    startedAtMs: nowMs,
    scheduledAtMs: Math.max(rotation.scheduledAtMs, scheduledAtMs ?? 0),
    past: trimmed([left, ...past])
  }
}

/**
 * Writes down which graces have ended, so that no clock that goes back reopens one (SEC-219). The
 * same object when there is nothing to write.
 */
export function withoutEnded (rotation: Rotation, nowMs: number): Rotation {
  const isOver = ({ endsAtMs }: PastName) => endsAtMs !== null && endsAtMs <= nowMs
  if (!rotation.past.some(isOver)) return rotation
  return { ...rotation, past: trimmed(rotation.past.map((name) => isOver(name) ? ended(name) : name)) }
}

/** A rotation as its settings are changed, turned on or made. Another prefix is another name, and moves the slot. */
export function configured (
  present: Rotation | null, settings: RotationSettings, at: { readonly nowMs: number, readonly term: number }
): Rotation {
  const { nowMs, term } = at
  if (present === null) {
    return { ...settings, enabled: true, slot: 1, term, startedAtMs: nowMs, scheduledAtMs: nowMs, past: [] }
  }
  const scheduledAtMs = settings.cron === present.cron && present.enabled ? present.scheduledAtMs : nowMs
  if (present.enabled && settings.prefix === present.prefix) return { ...present, ...settings, scheduledAtMs }
  // What was turned off has no name that a grace could keep.
  const graceSeconds = present.enabled ? settings.graceSeconds : 0
  return { ...advanced(present, { nowMs, term, graceSeconds }), ...settings, enabled: true, scheduledAtMs }
}

/** A rotation that was turned off: its names are retired, its slot is not used again. */
export function turnedOff (rotation: Rotation, nowMs: number): Rotation {
  if (!rotation.enabled) return rotation
  return { ...rotation, enabled: false, past: rotation.past.map(ended), startedAtMs: nowMs }
}

/** Names that still answer although they were replaced. */
export function inGrace (rotation: Rotation): PastName[] {
  return rotation.past.filter(({ endsAtMs }) => endsAtMs !== null)
}

/** The instant of a schedule that is due and was not acted upon; null: none. Missed ones collapse into the last. */
export function dueInstant (
  { accessor, rotation }: Pick<Mount, 'accessor' | 'rotation'>, latestAt: (ms: number) => number | null,
  mac: NameMac, nowMs: number
): number | null {
  if (rotation === null || !rotation.enabled) return null
  for (let from = nowMs; ;) {
    const instantMs = latestAt(from)
    if (instantMs === null || instantMs <= rotation.scheduledAtMs) return null
    if (instantMs + jitterMs(mac, rotation, accessor, instantMs) <= nowMs) return instantMs
    from = instantMs - 1
  }
}

function ended (name: PastName): PastName {
  return name.endsAtMs === null ? name : { ...name, endsAtMs: null }
}

/** All that are in grace, and the newest of the others. */
function trimmed (past: readonly PastName[]): PastName[] {
  let retired = 0
  return past.filter(({ endsAtMs }) => endsAtMs !== null || ++retired <= retiredMax)
}
