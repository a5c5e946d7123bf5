/** RFC 3339 text of an instant given in epoch milliseconds, with the nine digits that clients of this API expect (contract 1.11). */
export function timestamp (ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000000Z')
}
