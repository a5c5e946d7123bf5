import t from 'tap'
import type { Store } from '../../src/core/store.ts'
import { createRig } from './rig.ts'

t.test('FLT-068 an index of names that cannot be written holds up nobody, and is written afterwards', async (t) => {
  let isHeld = false
  let release = () => {}
  const released = new Promise<void>((resolve) => { release = resolve })
  const wrap = (store: Store): Store => ({
    ...store,
    async commit (changes, options) {
      if (isHeld && changes.some(({ key }) => key.endsWith(':meta/kv'))) await released
      return store.commit(changes, options)
    }
  })
  const rig = await createRig(t, { wrap })
  await rig.must('write', 'sys/mounts/secret-paths', { type: 'kv', options: { version: '2' } })
  await rig.must('write', 'sys/mounts/kv', { type: 'kv' })
  await rig.must('write', 'sys/latchkey/secret-paths', { mount: 'secret-paths' })
  const slotOf = async () => {
    const { body } = await rig.ask('read', 'secret-paths/data/kv')
    return (body as { data?: { data?: { slot?: number } } }).data?.data?.slot
  }
  await rig.must('write', 'sys/latchkey/rotation/kv', { prefix: 'x' })
  t.equal(await slotOf(), 1, 'the answer comes after it was written')
  isHeld = true
  const beganMs = performance.now()
  await rig.must('write', 'sys/latchkey/rotation/kv/rotate')
  for (let n = 0; n < 5; n++) await rig.must('write', `sys/policies/acl/p${n}`, { policy: 'path "a" { capabilities = ["read"] }' })
  t.match(await rig.must('read', 'sys/latchkey/resolve/kv'), { data: { slot: 2 } })
  t.ok(performance.now() - beganMs < 10_000)
  t.equal(await slotOf(), 1)
  release()
  await rig.must('write', 'sys/latchkey/rotation/kv/rotate')
  t.equal(await slotOf(), 3)
})
