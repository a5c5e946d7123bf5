import type { ConditionEntry } from './document.ts'
import type { RequestContext } from './evaluate.ts'

/** Whether every condition of a statement holds for the request. */
export function conditionsHold (
  _conditions: readonly ConditionEntry[], _context: RequestContext, _version: string
): boolean {
  return false
}
