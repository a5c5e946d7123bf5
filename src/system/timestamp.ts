import { isoTime } from '../core/iso-time.ts'

/** RFC 3339 text of an instant given in epoch milliseconds, with the nine digits that clients of this API expect (contract 1.11). */
export function timestamp (ms: number): string {
  return `${isoTime(ms).slice(0, -1)}000000Z`
}
