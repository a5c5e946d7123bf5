import { pathOf, type Change, type Store } from '../../src/core/store.ts'
import { decodeRecord } from '../../src/core/records.ts'

/** Where a broker under test ends itself as `kill -9` would, before or after a write of its store. */
export const crashPoints = [
  'before-intent', 'after-intent', 'before-active', 'after-active', 'after-unwrap', 'lease-ended',
  'after-scope-making', 'after-scope-mount', 'after-scope-policy', 'after-scope-role', 'after-scope-made',
  'after-scope-removing', 'after-scope-tokens', 'after-scope-unmount',
  'before-rotation', 'after-rotation', 'after-alarm'
] as const

export type CrashPoint = typeof crashPoints[number]

/** Whether a commit is the one that a point speaks of. */
function isAt (point: CrashPoint, changes: readonly Change[]): boolean {
  switch (point) {
    case 'before-intent':
    case 'after-intent': return leaseStates(changes).includes('pending')
    case 'before-active':
    case 'after-active': return leaseStates(changes).includes('active')
    case 'after-unwrap': return changes.some((change) => change.op === 'take' && pathOf(change.key).startsWith('wrap/'))
    case 'lease-ended': return endedLeases(changes) > 0
    case 'after-scope-making': return scopeStates(changes).includes('making')
    case 'after-scope-made': return scopeStates(changes).includes('made')
    case 'after-scope-removing': return scopeStates(changes).includes('removing')
    case 'after-scope-mount': return isScopePart(changes, 'mount/')
    case 'after-scope-policy': return isScopePart(changes, 'policy/')
    case 'after-scope-role': return puts(changes, 'role/scope-').length > 0
    case 'after-scope-tokens': return changes.some(({ op, key }) => op === 'delete' && pathOf(key).startsWith('token/'))
    case 'after-scope-unmount': return puts(changes, 'unmount/').length > 0
    case 'before-rotation':
    case 'after-rotation': return rotations(changes) > 0
    case 'after-alarm': return puts(changes, 'tripwire/').length > 0
  }
}

function puts (changes: readonly Change[], path: string): Extract<Change, { op: 'put' }>[] {
  return changes.flatMap((change) => change.op === 'put' && pathOf(change.key).startsWith(path) ? change : [])
}

function scopeStates (changes: readonly Change[]): string[] {
  return puts(changes, 'scope/').map(({ value }) => decodeRecord<{ state: string }>(value).state)
}

/** What is made on condition that the record of a scope is as its maker wrote it. */
function isScopePart (changes: readonly Change[], path: string): boolean {
  return puts(changes, path).length > 0 && changes.some(({ op, key }) => op === 'check' && pathOf(key).startsWith('scope/'))
}

function leaseStates (changes: readonly Change[]): string[] {
  return changes.flatMap((change) => isLeasePut(change) ? decodeRecord<{ state: string }>(change.value).state : [])
}

function isLeasePut (change: Change): change is Extract<Change, { op: 'put' }> {
  return change.op === 'put' && pathOf(change.key).startsWith('lease/')
}

/** Mounts that are written with a name that is not their first. */
function rotations (changes: readonly Change[]): number {
  return puts(changes, 'mount/').filter(({ value }) =>
    (decodeRecord<{ rotation: { slot: number } | null }>(value).rotation?.slot ?? 0) > 1).length
}

function endedLeases (changes: readonly Change[]): number {
  return changes.filter((change) => {
    if (change.op === 'delete') return pathOf(change.key).startsWith('lease/')
    return isLeasePut(change) && decodeRecord<{ revokedAtMs: number | null }>(change.value).revokedAtMs !== null
  }).length
}

/**
 * Wraps a store so that `crash` is called at a point, the `nth` time it is reached. A `before-`
 * point is reached with nothing written, `lease-ended` before the write that ends more than `nth`.
 */
export function crashingStore (store: Store, point: CrashPoint, nth: number, crash: () => void): Store {
  let reached = 0
  const count = (changes: readonly Change[]) => {
    if (!isAt(point, changes)) return false
    reached += point === 'lease-ended' ? endedLeases(changes) : 1
    return point === 'lease-ended' ? reached > nth : reached >= nth
  }
  const isBefore = point === 'lease-ended' || point.startsWith('before-')
  return {
    ...store,
    async commit (changes, options) {
      const isHere = count(changes)
      if (isHere && isBefore) crash()
      const entries = await store.commit(changes, options)
      if (isHere) crash()
      return entries
    }
  }
}

/** Ends this process as `kill -9` would: no handler runs, nothing is flushed. */
export function killSelf (): void {
  process.kill(process.pid, 'SIGKILL')
}
