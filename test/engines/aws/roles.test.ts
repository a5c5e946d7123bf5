import t from 'tap'
import { createEngineRig, demoArn } from './rig.ts'

const fault = (text: string, count = 1) =>
  `error(s) validating supplied role data: "${count} ${count === 1 ? 'error' : 'errors'} occurred:\\n\\t* ${text}\\n\\n"`

t.test('a role reads back in the fields that clients know, and the broker\'s own show only where they are used', async (t) => {
  const rig = createEngineRig()
  await rig.write('roles/demo', { credential_type: 'assumed_role', role_arns: `${demoArn}, ${demoArn}2`, policy_document: ' { "a" : " b c\\" ",\n "n": 1.10 } ' })
  t.same(await rig.read('roles/demo'), {
    credential_type: 'assumed_role', role_arns: [demoArn, `${demoArn}2`], policy_arns: null, policy_document: '{"a":" b c\\" ","n":1.10}',
    iam_groups: null, iam_tags: null, default_sts_ttl: 0, max_sts_ttl: 0, user_path: '', permissions_boundary_arn: '',
    session_tags: null, external_id: '', mfa_serial_number: ''
  })
  await rig.write('roles/demo', { allow_role_session_name: false, source_identity: 'lease_id', session_tags: ['team=blue'] })
  t.match(await rig.read('roles/demo'), { allow_role_session_name: false, source_identity: 'lease_id', session_tags: { team: 'blue' }, role_arns: [demoArn, `${demoArn}2`] })
  await rig.write('roles/demo', { role_arns: '', session_tags: {} })
  t.match(await rig.read('roles/demo'), { role_arns: null, session_tags: null })
})

t.test('a role is refused with all its faults at once and none of it is kept', async (t) => {
  const rig = createEngineRig()
  const refusals: readonly [object, string][] = [
    [{}, fault('did not supply credential_type')],
    [{ credential_type: 'assumed_role,iam_user' }, fault('unrecognized credential type: assumed_role,iam_user')],
    [{ credential_type: 'constructor' }, fault('unrecognized credential type: constructor')],
    [{ credential_type: 'iam_user', default_sts_ttl: 900, max_sts_ttl: 900 }, fault('default_sts_ttl parameter only valid for assumed_role, federation_token, and session_token credential types\\n\\t* max_sts_ttl parameter only valid for assumed_role, federation_token, and session_token credential types', 2)],
    [{ credential_type: 'assumed_role', session_tags: { 'aws:x': 'y' } }, fault('session_tags holds a name that AWS does not take')],
    [{ credential_type: 'assumed_role', session_tags: { ok: 'a;b' } }, fault('session_tags holds a value that AWS does not take')],
    [{ credential_type: 'assumed_role', session_tags: { Team: 'a', team: 'b' } }, fault('session_tags holds names that differ only in case')],
    [{ credential_type: 'assumed_role', external_id: 'a b' }, fault('external_id has 2 to 1224 letters, digits and +=,.@:/-_')],
    [{ credential_type: 'assumed_role', source_identity: 'me' }, fault('source_identity must be one of: lease_id, run_id')],
    [{ credential_type: 'federation_token', source_identity: 'run_id' }, fault('cannot supply source_identity when credential_type isn\'t assumed_role')],
    [{ credential_type: 'assumed_role', mfa_serial_number: 'x' }, fault('cannot supply mfa_serial_number when credential_type isn\'t session_token')]
  ]
  for (const [fields, message] of refusals) {
    await t.rejects(rig.write('roles/bad', { ...fields }), { code: 'invalid_request', message }, message)
  }
  await t.rejects(rig.write('roles/bad', { credential_type: 'assumed_role', policy_document: '[]' }), { message: 'cannot parse policy document: "[]"' })
  t.equal(await rig.read('roles/bad'), null)
})

t.test('SEC-166: a role name is letters, digits, dots, dashes and at signs, and nothing else is a path', async (t) => {
  const rig = createEngineRig()
  for (const name of ['a b', '*', 'a*', '-a', 'a-', '.', '..', 'ä', 'a\n']) {
    for (const path of ['roles', 'creds', 'sts']) {
      await t.rejects(rig.run(path === 'roles' ? 'write' : 'read', `${path}/${name}`, {}), { code: 'not_found', message: 'unsupported path' }, `${path}/${name}`)
    }
  }
})

t.test('partial updates at once all count', async (t) => {
  const rig = createEngineRig()
  await rig.write('roles/demo', { credential_type: 'assumed_role' })
  await Promise.all([
    rig.write('roles/demo', { external_id: 'ext-1' }), rig.write('roles/demo', { default_sts_ttl: 900 }), rig.write('roles/demo', { role_arns: demoArn })
  ])
  t.match(await rig.read('roles/demo'), { external_id: 'ext-1', default_sts_ttl: 900, role_arns: [demoArn] })
})

t.test('names are listed sorted, beyond one page of the store', async (t) => {
  const rig = createEngineRig()
  const names = Array.from({ length: 1203 }, (_, n) => `role-${String(n).padStart(5, '0')}`)
  for (const name of names) await rig.write(`roles/${name}`, { credential_type: 'assumed_role' })
  const outcome = await rig.run('list', 'roles')
  t.same(outcome.kind === 'data' && outcome.data, { keys: names })
  await rig.run('delete', 'roles/role-00000')
  await rig.run('delete', 'roles/role-00000')
  t.equal(await rig.read('roles/role-00000'), null)
})
