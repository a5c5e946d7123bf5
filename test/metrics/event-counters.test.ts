import { Registry } from 'prom-client'
import t from 'tap'
import { createEventCounters, seriesMax } from '../../src/metrics/event-counters.ts'

t.test('mounts that come and go leave a bounded number of series; those in use stay', async (t) => {
  const registry = new Registry()
  const count = createEventCounters(registry)
  const rotated = (mount: string) => count({ type: 'rotation', mount, slot: 1, cause: 'settings', graceSeconds: 0 })
  for (let n = 0; n < 2 * seriesMax; n++) {
    rotated(`gone-${n}`)
    if (n % 1000 === 0) rotated('stays')
  }
  const text = await registry.metrics()
  t.equal(text.match(/^latchkey_rotations_total\{/gm)?.length, seriesMax)
  t.match(text, new RegExp(`^latchkey_rotations_total\\{mount="stays",cause="settings"\\} ${2 * seriesMax / 1000}$`, 'm'))
  t.match(text, new RegExp(`mount="gone-${2 * seriesMax - 1}"`))
  t.notMatch(text, /mount="gone-0"/)
})
