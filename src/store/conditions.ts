import type { Change, ConflictReason, Stamp } from '../core/store.ts'

/** What a condition looks at. */
export interface Met {
  readonly stamp: Stamp
  readonly used: number
  readonly usesMax: number
}

/** Says why a change may not be applied to the record that is there, or null when it may. */
export function conflictOf (change: Change, met: Met | null): ConflictReason | null {
  switch (change.op) {
    case 'take': return met === null ? 'absent' : null
    case 'use':
      if (met === null) return 'absent'
      return change.by !== -1 && met.usesMax > 0 && met.used >= met.usesMax ? 'spent' : null
    case 'check': return expected(change.expect ?? 'present', met)
    default: return change.expect === undefined ? null : expected(change.expect, met)
  }
}

function expected (expect: string, met: Met | null): ConflictReason | null {
  if (expect === 'absent') return met === null ? null : 'present'
  if (met === null) return 'absent'
  return expect === 'present' || expect === met.stamp ? null : 'changed'
}
