import { formatDurationShort } from '../core/duration.ts'
import type { Client } from './client.ts'
import type { Screen } from './screen.ts'

/** From here on a wrong clock is told. AWS refuses what is signed more than 5 min off. */
const toleratedMs = 120_000

/** Tells where this machine's clock and the broker's are far apart (SEC-345). */
export function sayWrongClock (client: Pick<Client, 'aheadMs'>, { say }: Pick<Screen, 'say'>): void {
  const aheadMs = client.aheadMs()
  if (aheadMs === null || Math.abs(aheadMs) < toleratedMs) return
  const apart = formatDurationShort(Math.round(Math.abs(aheadMs) / 1000))
  say(`the clock of this machine is ${apart} ${aheadMs > 0 ? 'behind' : 'ahead of'} the broker's: AWS refuses requests signed more than 5 min off`)
}
