import { AssumeRoleCommand, STSClient, type AssumeRoleCommandInput, type Credentials } from '@aws-sdk/client-sts'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import type { Capability } from '../../src/core/backend.ts'
import { createAcl } from '../../src/policies/acl.ts'
import { parsePolicy } from '../../src/policies/parse.ts'
import { startBench, type Bench } from '../emulator/helpers/start.ts'

const folder = path.join(import.meta.dirname, '../../deploy/policies')
const read = (file: string) => readFileSync(path.join(folder, file), 'utf8')

function aclOf (name: string) {
  const acl = createAcl([{ name, rules: parsePolicy(read(`${name}.hcl`)) }], 0)
  return (operation: Exclude<Capability, 'sudo'>, place: string, wrapTtlSeconds: number | null = null) =>
    acl.check({ path: place, operation, data: {}, wrapTtlSeconds })
}

t.test('every example policy is one that the broker takes', async (t) => {
  const files = readdirSync(folder).filter((name) => name.endsWith('.hcl'))
  t.ok(files.length >= 5)
  for (const file of files) t.doesNotThrow(() => parsePolicy(read(file)), file)
})

t.test('a CI run may fetch its own role and no other', async (t) => {
  const may = aclOf('ci-run')
  t.ok(may('read', 'aws/creds/deploy').allowed)
  t.notOk(may('read', 'aws/creds/other').allowed)
  t.notOk(may('read', 'aws/roles/deploy').allowed)
  t.notOk(may('update', 'auth/approle/role/ci/secret-id').allowed)
})

t.test('the issuer gets a secret_id only wrapped, and not for long', async (t) => {
  const may = aclOf('secret-id-issuer')
  const target = 'auth/approle/role/ci/secret-id'
  t.notOk(may('update', target).allowed, 'in clear')
  t.ok(may('update', target, 60).allowed)
  t.notOk(may('update', target, 3600).allowed, 'for an hour')
  t.notOk(may('update', 'auth/approle/role/admin/secret-id', 60).allowed)
})

t.test('a policy-admin sets scopes up, and hands secret_ids out sealed', async (t) => {
  const may = aclOf('policy-admin')
  const target = 'auth/approle/role/ec2-only-operator/secret-id'
  t.notOk(may('update', target).allowed, 'in clear')
  t.ok(may('update', target, 120).allowed)
  t.notOk(may('update', 'auth/approle/role/ec2-only-operator/custom-secret-id', 120).allowed)
  t.ok(may('update', 'sys/latchkey/secret-paths').sudo)
  for (const target of ['ec2-only/data/deploy', 'secret-paths/data/ec2-only', 'aws/creds/ec2-only', 'auth/token/create']) {
    t.notOk(may('read', target).allowed, target)
  }
})

t.test('an operator sets roles up, and neither mints secret_ids nor fetches credentials', async (t) => {
  const may = aclOf('operator')
  t.ok(may('create', 'auth/approle/role/ci').allowed)
  t.ok(may('update', 'aws/roles/deploy').allowed)
  t.ok(may('update', 'sys/auth/approle').sudo)
  for (const target of ['auth/approle/role/ci/secret-id', 'auth/approle/role/ci/custom-secret-id', 'aws/creds/deploy', 'aws/sts/deploy']) {
    t.notOk(may('update', target).allowed, target)
    t.notOk(may('read', target).allowed, target)
  }
})

t.test('an auditor sees and changes nothing', async (t) => {
  const may = aclOf('auditor')
  t.ok(may('read', 'sys/latchkey/sessions').allowed)
  t.ok(may('list', 'sys/latchkey/secret-ids/').allowed)
  t.ok(may('list', 'sys/leases/lookup/aws/').sudo)
  for (const target of ['sys/leases/revoke', 'sys/leases/revoke-prefix/aws', 'sys/policies/acl/x', 'aws/creds/deploy']) {
    t.notOk(may('update', target).allowed, target)
  }
})

t.test('a maker of scopes makes those of its names, hands on what it has, and writes no policies', async (t) => {
  const may = aclOf('scope-maker')
  for (const target of ['sys/latchkey/scopes/team-web', 'sys/latchkey/scopes/team-web/secret-id']) t.ok(may('update', target).allowed)
  t.ok(may('delete', 'sys/latchkey/scopes/team-web').allowed)
  for (const target of ['sys/latchkey/scopes/ops', 'sys/mounts/team-web', 'sys/policies/acl/x', 'auth/approle/role/scope-team-web', 'team-web/data/x', 'auth/approle/role/ci/secret-id']) {
    t.notOk(may('update', target).allowed, target)
  }
  const acl = createAcl([{ name: 'scope-maker', rules: parsePolicy(read('scope-maker.hcl')) }], 0)
  t.ok(acl.covers('aws/creds/ec2-only', ['read']) && acl.covers('auth/token/create', ['update']))
  t.notOk(acl.covers('aws/creds/*', ['read']))
})

t.test('who handles an incident ends what is below a prefix', async (t) => {
  const may = aclOf('incident')
  t.ok(may('update', 'sys/leases/revoke-prefix/aws/creds/deploy').sudo)
  t.ok(may('update', 'sys/leases/revoke-prefix/auth/approle/login').sudo)
  t.notOk(may('update', 'sys/policies/acl/x').allowed)
})

const brokerArn = 'arn:aws:iam::111122223333:role/latchkey-broker'
const targetArn = 'arn:aws:iam::444455556666:role/latchkey/Deploy'
const externalId = 'acme-5c1f7f0e-6f0b-4f5e-9d53-2f8a4a4f3b11'
const trust = (arn: string) => ({
  Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { AWS: arn }, Action: ['sts:AssumeRole', 'sts:TagSession'] }]
})
const seed = {
  accounts: [
    {
      id: '111122223333',
      users: ['machine', 'intruder'].map((name) => ({
        name,
        accessKeys: [{}],
        policies: { all: { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'sts:*', Resource: '*' }] } }
      })),
      roles: [{ name: 'latchkey-broker', trust: trust('arn:aws:iam::111122223333:user/machine'), policies: { broker: JSON.parse(read('aws-broker-role.json')) } }]
    },
    {
      id: '444455556666',
      roles: [
        { name: 'Deploy', path: '/latchkey/', trust: JSON.parse(read('aws-target-trust.json')), managedPolicies: ['arn:aws:iam::aws:policy/AmazonEC2FullAccess'] },
        { name: 'Elsewhere', trust: trust(brokerArn) }
      ]
    }
  ]
}

/** The broker's identity, as a machine of its account has it: a session of its role. */
async function brokerOf (bench: Bench): Promise<STSClient> {
  const { Credentials: own } = await bench.sts(bench.keysOf('machine'))
    .send(new AssumeRoleCommand({ RoleArn: brokerArn, RoleSessionName: 'broker' }))
  return clientOf(bench, own)
}

function clientOf (bench: Bench, own: Credentials | undefined): STSClient {
  return bench.sts({
    accessKeyId: own?.AccessKeyId ?? '', secretAccessKey: own?.SecretAccessKey ?? '', sessionToken: own?.SessionToken ?? ''
  })
}

t.test('the AWS policies let the broker\'s role assume the target with its external id, tags and source identity', async (t) => {
  const bench = await startBench(t, { seed })
  const broker = await brokerOf(bench)
  const ask = (more: Partial<AssumeRoleCommandInput>, client = broker) =>
    client.send(new AssumeRoleCommand({ RoleArn: targetArn, RoleSessionName: 'run-7.abcdefgh', ...more }))
  const denied = { name: 'AccessDenied' }

  const { AssumedRoleUser: user } = await ask({
    ExternalId: externalId, Tags: [{ Key: 'team', Value: 'web' }], SourceIdentity: 'run-7'
  })
  t.equal(user?.Arn, 'arn:aws:sts::444455556666:assumed-role/Deploy/run-7.abcdefgh')
  await t.rejects(ask({}), denied, 'without the external id')
  await t.rejects(ask({ ExternalId: `${externalId}x` }), denied, 'with another one')
  await t.rejects(ask({ ExternalId: externalId, Tags: [{ Key: 'admin', Value: 'yes' }] }), denied, 'with a tag that is not listed')
  await t.rejects(ask({ ExternalId: externalId, SourceIdentity: 'alice' }), denied, 'with another source identity')
  await t.rejects(ask({ ExternalId: externalId }, bench.sts(bench.keysOf('intruder'))), denied, 'as somebody else of the account')
  await t.rejects(ask({ RoleArn: 'arn:aws:iam::444455556666:role/Elsewhere' }), denied, 'outside the agreed path')
})
