import { ask, rootToken, type BenchBroker } from './broker.ts'

/** What a secret of the bench holds: a name and a password. */
export const secretData = { username: 'ci-deploy', password: 'b41rQpC0mZ5s7vXwUeYtN3aKdHfJgL9x' }

/** Makes a mount of KV version 2 with one secret, and answers a token that may use it. */
export async function prepareSecrets ({ url }: BenchBroker): Promise<string> {
  const policy = 'path "bench/data/*" { capabilities = ["create", "update", "read"] }'
  await ask(url, 'POST', '/v1/sys/mounts/bench', rootToken, { type: 'kv', options: { version: '2' } })
  await ask(url, 'PUT', '/v1/sys/policies/acl/bench', rootToken, { policy })
  await ask(url, 'POST', '/v1/bench/data/ci/deploy', rootToken, { data: secretData })
  const made = await ask(url, 'POST', '/v1/auth/token/create-orphan', rootToken, { policies: ['bench'], ttl: '1h' })
  return (made as { auth: { client_token: string } }).auth.client_token
}
