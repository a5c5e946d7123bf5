import t from 'tap'
import type { JsonObject } from '../../src/core/json.ts'
import { createRig, textAt, type Rig } from './rig.ts'

async function make (rig: Rig, data: JsonObject = {}, by?: string) {
  const made = await rig.must('write', 'auth/token/create', { policies: ['root'], ...data }, by)
  return { token: textAt(made, 'auth', 'client_token'), accessor: textAt(made, 'auth', 'accessor') }
}

const lives = async (rig: Rig, clientToken: string, remoteAddress = '127.0.0.1') =>
  (await rig.ask('read', 'auth/token/lookup-self', { clientToken, remoteAddress })).code === 'ok'

t.test('a token that was revoked with its children kept cannot be revoked again with them', async (t) => {
  const rig = await createRig(t)
  const parent = await make(rig)
  const child = await make(rig, {}, parent.token)
  await rig.must('write', 'auth/token/revoke-orphan', { token: parent.token })
  t.notOk(await lives(rig, parent.token))
  const again = await rig.must('write', 'auth/token/revoke-accessor', { accessor: parent.accessor })
  t.strictSame(again['warnings'], ['No token found with this accessor'])
  t.ok(await lives(rig, child.token), 'its child lives on')
  t.match(await rig.ask('write', 'auth/token/revoke-orphan', { data: { token: parent.token } }), { code: 'invalid_request' })
})

t.test('a revocation that keeps the children holds against renewals at the same time', async (t) => {
  const rig = await createRig(t)
  for (let i = 0; i < 20; i++) {
    const { token } = await make(rig, { policies: ['default'] })
    const [, revoked] = await Promise.all([
      rig.ask('write', 'auth/token/renew', { data: { token } }),
      rig.ask('write', 'auth/token/revoke-orphan', { data: { token } })
    ])
    t.equal(revoked.code, 'ok')
    t.notOk(await lives(rig, token))
  }
})

t.test('SEC-054 a request from outside a counted token\'s addresses takes none of its uses', async (t) => {
  const rig = await createRig(t)
  await rig.must('write', 'auth/token/roles/bound', { token_bound_cidrs: ['10.0.0.0/8'], token_num_uses: 2 })
  const made = await rig.must('write', 'auth/token/create/bound', {})
  const token = textAt(made, 'auth', 'client_token')
  for (let i = 0; i < 5; i++) t.notOk(await lives(rig, token, '192.0.2.1'))
  t.strictSame([await lives(rig, token, '10.0.0.1'), await lives(rig, token, '10.0.0.1'), await lives(rig, token, '10.0.0.1')], [true, true, false])
})

t.test('SEC-053 a token with 5 uses authorises 5 of 50 requests at once', async (t) => {
  const rig = await createRig(t)
  const { token } = await make(rig, { num_uses: 5 })
  const answers = await Promise.all(Array.from({ length: 50 }, () => lives(rig, token)))
  t.equal(answers.filter((lived) => lived).length, 5)
})

t.test('of several that make a token with one chosen id at once one does', async (t) => {
  const rig = await createRig(t)
  const names = ['a', 'b', 'c', 'd', 'e']
  const answers = await Promise.all(names.map((name) =>
    rig.ask('write', 'auth/token/create', { data: { id: 'one-id-for-all', display_name: name } })))
  const made = names.filter((_, at) => answers[at]?.code === 'ok')
  t.equal(made.length, 1)
  t.strictSame(new Set(answers.filter(({ code }) => code !== 'ok').map(({ text }) => text)), new Set(['cannot create a token with a duplicate ID']))
  const found = await rig.must('read', 'auth/token/lookup-self', {}, 'one-id-for-all')
  t.equal(textAt(found, 'data', 'display_name'), `token-${made[0]}`)
  const { accessors } = await rig.app.tokens.accessors(undefined)
  const named = await Promise.all(accessors.map(async (accessor) => rig.app.tokens.findByAccessor(accessor, rig.app.clock.now())))
  t.equal(named.filter((live) => live?.token.displayName.startsWith('token-')).length, 1, 'nothing is left of the others')
})

t.test('a chosen id can be used again once its token was revoked, and leads to the new one only', async (t) => {
  const rig = await createRig(t)
  for (const name of ['one', 'two', 'three']) {
    await make(rig, { id: 'again-and-again', display_name: name })
    const found = await rig.must('read', 'auth/token/lookup-self', {}, 'again-and-again')
    t.equal(textAt(found, 'data', 'display_name'), `token-${name}`)
    await rig.must('write', 'auth/token/revoke', { token: 'again-and-again' })
    t.notOk(await lives(rig, 'again-and-again'))
  }
})
