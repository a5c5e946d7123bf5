import t, { type Test } from 'tap'
import { drawStamp } from '../../src/core/store.ts'
import { createRig, createShared, textAt, type Rig, type Shared } from '../broker/rig.ts'
import { allLookedFor, body, createLaterRig, createWeakStore, login, partsLeft, scopePath, sweepUntil, type Fault } from './scope-rig.ts'

t.setTimeout(300_000)

const ways = [
  { kind: 'dies', written: false }, { kind: 'dies', written: true }, { kind: 'fails', written: false }, { kind: 'fails', written: true }
] as const

/** Later than whoever makes a scope may still be alive, and than the last look after an end. */
const afterMakingMs = 181_000
const afterAllMs = 400_000

/** A broker, what stands between it and the store, and another broker of the same store. */
async function createTwo (t: Test) {
  const shared = createShared()
  const weak = createWeakStore()
  const rig = await createRig(t, { shared, wrap: weak.wrap })
  return { shared, weak, rig }
}

/** The scope is there whole, and does what it is for. */
async function judgeWhole (t: Test, rig: Rig): Promise<void> {
  const again = await rig.must('write', scopePath, body)
  t.match(again['warnings'], [/is there already/])
  const secretId = textAt(await rig.must('write', `${scopePath}/secret-id`), 'data', 'secret_id')
  const pair = { role_id: textAt(again, 'data', 'role_id'), secret_id: secretId }
  const token = textAt(await rig.must('write', 'auth/approle/login', pair), 'auth', 'client_token')
  const data = { data: { a: 1 } }
  t.equal((await rig.ask('write', 'team-a/data/x', { data, bodyText: JSON.stringify(data), clientToken: token })).code, 'ok')
}

/** Nothing of a scope is left, its name is free, and nothing is found of it later. */
async function judgeGone (t: Test, rig: Rig, shared: Shared): Promise<void> {
  t.strictSame(await partsLeft(rig), [])
  const made = await rig.must('write', scopePath, body)
  t.equal((await login(rig, made)).code, 'ok', 'and can be made again')
  const later = await createLaterRig(t, shared, afterAllMs)
  await sweepUntil('the last look is over', later, () => allLookedFor(later))
  t.equal((await login(later, made)).code, 'ok', 'the last look at the former one leaves the new one alone')
}

/** Makes a scope with a fault at the nth write; null where it took fewer. */
async function makeWith (t: Test, fault: Fault) {
  const two = await createTwo(t)
  two.weak.arm(fault)
  const answer = await two.rig.ask('write', scopePath, { data: body })
  return two.weak.writes() < fault.at ? null : { ...two, answer }
}

for (const { kind, written } of ways) {
  const how = `${kind === 'dies' ? 'the broker dies' : 'the write fails'} ${written ? 'after' : 'before'} each write`
  t.test(`FLT-001 a scope is there whole or not at all: ${how} of its making`, async (t) => {
    let steps = 0
    for (let at = 1; ; at++) {
      const made = await makeWith(t, { at, kind, written })
      if (made === null) break
      steps = at
      t.not(made.answer.code, 'ok', `the write ${at} is told`)
      if (kind === 'fails') {
        const { code, body: read } = await made.rig.ask('read', scopePath)
        if (code === 'ok') t.equal(textAt(read, 'data', 'state'), 'made', 'it was the last write whose answer was lost')
        else t.strictSame(await partsLeft(made.rig), [], 'a broker that lives undoes it at once')
      }
      const other = await createLaterRig(t, made.shared, afterMakingMs)
      const state = async () => (await other.ask('read', scopePath)).code
      const { code, body: read } = await other.ask('read', scopePath)
      if (code === 'ok' && textAt(read, 'data', 'state') === 'made') {
        await judgeWhole(t, other)
        continue
      }
      await sweepUntil('it is undone', other, async () => await state() === 'not_found')
      await judgeGone(t, other, made.shared)
    }
    t.ok(steps >= 7, `${steps} writes`)
  })
}

/** A scope that is used: two tokens, keys in both mounts. Answers its creation and the tokens. */
async function createUsed (rig: Rig) {
  const made = await rig.must('write', scopePath, body)
  const tokens = [await login(rig, made), await login(rig, made)].map((answer) => textAt(answer.body, 'auth', 'client_token'))
  const child = await rig.must('write', 'auth/token/create', { policies: ['default'] })
  for (const key of ['x', 'y']) {
    const data = { data: { a: 1 } }
    await rig.ask('write', `team-a/data/${key}`, { data, bodyText: JSON.stringify(data) })
  }
  return { made, tokens, stranger: textAt(child, 'auth', 'client_token') }
}

const isAlive = async (rig: Rig, clientToken: string) => (await rig.ask('read', 'auth/token/lookup-self', { clientToken })).code === 'ok'

for (const { kind, written } of ways) {
  const how = `${kind === 'dies' ? 'the broker dies' : 'the write fails'} ${written ? 'after' : 'before'} each write`
  t.test(`FLT-009 a removal is finished by any broker: ${how} of it`, async (t) => {
    let steps = 0
    for (let at = 1; ; at++) {
      const { shared, weak, rig } = await createTwo(t)
      const { made, tokens, stranger } = await createUsed(rig)
      weak.arm({ at, kind, written })
      const answer = await rig.ask('delete', scopePath)
      if (weak.writes() < at) break
      steps = at
      const isWritten = at > 1 || written
      const other = await createLaterRig(t, shared, 61_000)
      if (answer.code !== 'ok' && !isWritten) {
        t.equal((await login(other, made)).code, 'ok', 'what was not begun was not done')
        await other.must('delete', scopePath)
      } else if (answer.code !== 'ok' && at % 2 === 0) {
        await other.must('delete', scopePath)
      } else {
        await sweepUntil('it is finished', other, async () => (await other.ask('read', scopePath)).code === 'not_found')
      }
      t.match(await login(other, made), { code: 'invalid_request', text: 'invalid role or secret ID' })
      t.strictSame(await Promise.all(tokens.map((token) => isAlive(other, token))), [false, false])
      t.ok(await isAlive(other, stranger))
      await judgeGone(t, other, shared)
    }
    t.ok(steps >= 10, `${steps} writes`)
  })
}

t.test('SEC-156 a removal with more tokens than a sweep ends at a turn is finished turn by turn', async (t) => {
  const { shared, weak, rig } = await createTwo(t)
  const made = await rig.must('write', scopePath, body)
  for (let n = 0; n < 22; n++) await Promise.all(Array.from({ length: 50 }, () => login(rig, made)))
  weak.arm({ at: 1, kind: 'dies', written: true })
  await rig.ask('delete', scopePath)
  const other = await createLaterRig(t, shared, 61_000)
  t.equal((await other.store.list('token-group/', { limit: 1000 })).length, 1000)
  const left = async () => (await other.store.list('token-group/', { limit: 1000 })).length
  await other.must('write', 'auth/token/tidy')
  await sweepUntil('it is through', other, async () => await left() === 0)
  await sweepUntil('the scope is gone', other, async () => (await other.ask('read', scopePath)).code === 'not_found')
  t.strictSame(await partsLeft(other), [])
})

/** What somebody else does while a scope waits before its nth write; answers what became of the scope. */
async function meanwhile (t: Test, at: number, act: (other: Rig) => Promise<unknown>) {
  const { shared, weak, rig } = await createTwo(t)
  const { reached, release } = weak.hold(at)
  const making = rig.ask('write', scopePath, { data: body })
  await reached
  const other = await createRig(t, { shared })
  await act(other)
  release()
  return { answer: await making, other, rig }
}

t.test('what somebody else makes meanwhile stands in the way, stays, and the scope is undone', async (t) => {
  const mount = await meanwhile(t, 2, (other) => other.must('write', 'sys/mounts/team-b', { type: 'kv' }))
  t.match(mount.answer, { code: 'invalid_request', text: /already in use/ })
  t.strictSame(await partsLeft(mount.rig), ['mount team-b/'])
  const role = await meanwhile(t, 6, (other) => other.must('write', 'auth/approle/role/scope-team-a', { token_policies: ['default'] }))
  t.match(role.answer, { code: 'invalid_request', text: /exists already/ })
  t.strictSame(await partsLeft(role.rig), ['role scope-team-a'])
  t.equal((await role.other.ask('read', 'auth/approle/role/scope-team-a')).code, 'ok')
})

t.test('a login that was let in before the end and comes through after it is ended by the last look', async (t) => {
  const { shared, weak, rig } = await createTwo(t)
  const made = await rig.must('write', scopePath, { ...body, token_bound_cidrs: ['127.0.0.0/8'] })
  await rig.must('write', 'auth/approle/role/scope-team-a', { bind_secret_id: false })
  const { reached, release } = weak.hold(1)
  const late = login(rig, made)
  await reached
  const other = await createRig(t, { shared })
  await other.must('delete', scopePath)
  release()
  const token = textAt((await late).body, 'auth', 'client_token')
  t.ok(await isAlive(other, token), 'nobody could know of it')
  const later = await createLaterRig(t, shared, 121_000)
  await sweepUntil('it is ended', later, async () => !await isAlive(later, token))
  t.strictSame(await partsLeft(later), [])
})

t.test('a scope whose record is made due by somebody who may write the store is not taken away', async (t) => {
  const { rig } = await createTwo(t)
  const made = await rig.must('write', scopePath, body)
  const [entry] = await rig.store.get(['sys:scope/team-a'])
  if (!entry) throw new Error('no record')
  const stamp = drawStamp()
  await rig.store.commit([{ op: 'put', key: entry.key, value: entry.value, names: ['scope/team-a'], stamp, dueAtMs: 1 }])
  await sweepUntil('it was looked at', rig, async () => (await rig.store.get(['sys:scope/team-a']))[0]?.stamp !== stamp)
  t.equal((await login(rig, made)).code, 'ok')
  t.match(await rig.ask('read', scopePath), { body: { data: { state: 'made' } } })
})

t.test('a scope whose auth method was taken away can be removed, and makes no secret_ids', async (t) => {
  const { rig } = await createTwo(t)
  await rig.must('write', 'sys/auth/own', { type: 'approle' })
  const made = await rig.must('write', scopePath, { ...body, auth: 'own' })
  const pair = { role_id: textAt(made, 'data', 'role_id'), secret_id: textAt(made, 'data', 'secret_id') }
  const token = textAt(await rig.must('write', 'auth/own/login', pair), 'auth', 'client_token')
  await rig.must('delete', 'sys/auth/own')
  t.notOk(await isAlive(rig, token))
  t.match(await rig.ask('write', `${scopePath}/secret-id`), { code: 'invalid_request' })
  await rig.must('delete', scopePath)
  t.strictSame(await partsLeft(rig), [])
})

t.test('a scope that is removed while it is made: its maker comes no further, and nothing is left', async (t) => {
  let steps = 0
  for (let at = 2; ; at++) {
    const { shared, weak, rig } = await createTwo(t)
    const { reached, release } = weak.hold(at)
    const making = rig.ask('write', scopePath, { data: body })
    const wasReached = await Promise.race([reached.then(() => true), making.then(() => false)])
    if (!wasReached) break
    steps = at
    const other = await createRig(t, { shared })
    t.match(await other.ask('write', scopePath, { data: body }), { code: 'invalid_request', text: 'the scope is being made: try again in a moment' })
    await other.must('delete', scopePath)
    release()
    t.match(await making, { code: 'invalid_request', text: 'the scope was removed while it was being made' }, `${at}`)
    await judgeGone(t, other, shared)
  }
  t.ok(steps >= 7, `${steps} writes`)
})
