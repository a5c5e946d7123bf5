import { createHmac } from 'node:crypto'
import t from 'tap'
import type { Rotation, RotationSettings } from '../../src/core/model.ts'
import {
  advanced, configured, deriveName, inGrace, jitterMs, retiredMax, turnedOff, withoutEnded, type NameMac
} from '../../src/mounts/rotation.ts'
import { lengthPrefixed } from '../../src/store/seal.ts'

const macOf = (key: string): NameMac => (term, parts) => createHmac('sha256', `${key}/${term}`).update(lengthPrefixed(parts)).digest()
const mac = macOf('k')
const settings: RotationSettings = { prefix: 'p-', cron: null, graceSeconds: 60, jitterSeconds: 0, stablePath: 'always', reaction: 'log' }
const at = (nowMs: number) => ({ nowMs, term: 1 })
const started = (): Rotation => configured(null, settings, at(0))

t.test('SEC-215 CRY-027 ten thousand slots: 128 bits each, none twice, in no order', async (t) => {
  const names = Array.from({ length: 10_000 }, (_, slot) => deriveName(mac, 1, 'kv_1', slot) ?? '')
  t.equal(new Set(names).size, names.length)
  t.ok(names.every((name) => /^[0-9a-v]{25}[048cgkos]$/.test(name)), '16 bytes in base32hex')
  const ascents = names.filter((name, n) => n > 0 && name > (names[n - 1] ?? '')).length
  t.ok(ascents > 4700 && ascents < 5300, String(ascents))
  const bytes = mac(1, ['name', 'kv_1', '7'])?.subarray(0, 16)
  t.equal(BigInt(`0x${bytes?.toString('hex')}`) << 2n, [...names[7] ?? ''].reduce((sum, char) => sum * 32n + BigInt(parseInt(char, 32)), 0n))
})

t.test('SEC-215 CRY-027 mount and slot cannot be taken for each other, and another key gives other names', async (t) => {
  t.not(deriveName(mac, 1, 'kv_1', 11), deriveName(mac, 1, 'kv_11', 1))
  t.not(deriveName(mac, 1, 'kv_1', 1), deriveName(mac, 2, 'kv_1', 1))
  t.not(deriveName(mac, 1, 'kv_1', 1), deriveName(macOf('other'), 1, 'kv_1', 1))
  t.equal(deriveName(() => null, 1, 'kv_1', 1), null, 'a key that was destroyed')
})

t.test('SEC-219 a slot only goes up, a name that left grace does not come back, and the list stays short', async (t) => {
  let rotation = started()
  let nowMs = 0
  const gone = new Set<number>()
  for (let step = 0; step < 2000; step++) {
    const before = rotation
    // The clock goes back now and then.
    nowMs += step % 17 === 0 ? -30_000 : 7000
    const choice = step % 11
    if (choice === 3) rotation = withoutEnded(rotation, nowMs)
    else if (choice === 5) rotation = advanced(rotation, { ...at(nowMs), graceSeconds: 0 })
    else if (choice === 7) rotation = configured(rotation, { ...settings, prefix: step % 2 === 0 ? 'a-' : 'b-' }, at(nowMs))
    else if (choice === 9) rotation = configured(turnedOff(rotation, nowMs), settings, at(nowMs))
    else rotation = withoutEnded(advanced(rotation, { ...at(nowMs), graceSeconds: 20 }), nowMs)
    t.ok(rotation.slot >= before.slot)
    const graced = inGrace(rotation)
    if (graced.some(({ slot }) => gone.has(slot) || slot >= rotation.slot)) t.fail(`slot came back in step ${step}`)
    for (const { slot, endsAtMs } of rotation.past) if (endsAtMs === null) gone.add(slot)
    const retired = rotation.past.length - graced.length
    if (retired > retiredMax) t.fail('too many retired names')
  }
})

t.test('SEC-228 grace is counted from the moment that the new name is served', async (t) => {
  const late = advanced(started(), { ...at(3_600_000), graceSeconds: 60, scheduledAtMs: 60_000 })
  t.equal(late.past[0]?.endsAtMs, 3_660_000)
  t.equal(late.scheduledAtMs, 60_000)
})

t.test('another prefix is another name, and so is a rotation that was turned on again', async (t) => {
  t.equal(configured(started(), { ...settings, graceSeconds: 5 }, at(9)).slot, 1)
  t.equal(configured(started(), { ...settings, prefix: 'q-' }, at(9)).slot, 2)
  t.equal(configured(turnedOff(started(), 5), settings, at(9)).slot, 2)
  t.strictSame(inGrace(configured(turnedOff(started(), 5), settings, at(9))), [])
})

t.test('the jitter of an instant is the same everywhere, within bounds, and not that of another instant', async (t) => {
  const rotation = { term: 1, jitterSeconds: 30 }
  const all = Array.from({ length: 200 }, (_, n) => jitterMs(mac, rotation, 'kv_1', n * 60_000))
  t.ok(all.every((ms) => ms >= 0 && ms < 30_000))
  t.ok(new Set(all).size > 190)
  t.strictSame(all, Array.from({ length: 200 }, (_, n) => jitterMs(macOf('k'), rotation, 'kv_1', n * 60_000)))
})
