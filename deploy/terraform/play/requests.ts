import { callAws, send, textAt, type Answer } from '../../../src/demo/client.ts'
import { httpPersonas } from './http-requests.ts'
import type { Must, Tools } from './personas.ts'
import type { Flavour, Persona, Run, Runs, Variables } from './runs.ts'
import { vaultPersonas } from './vault-requests.ts'

/** Sends the same requests as the configurations do under Terraform, without Terraform. */
export async function createRequestRuns (
  flavour: Flavour, { broker, aws }: { readonly broker: string, readonly aws: string }
): Promise<Runs> {
  const must: Must = async (method, target, asked, mayBe = []) => {
    const answer = await send(broker, method, { target, ...asked })
    if (answer.status < 300 || mayBe.includes(answer.status)) return answer
    throw new Error(`${method} ${target} answers ${answer.status} ${JSON.stringify(answer.body['errors'])}`)
  }
  const tools: Tools = { must, workInAws: (keys) => workInAws(aws, keys) }
  const personas = flavour === 'http' ? httpPersonas(tools) : vaultPersonas(tools)

  async function run (persona: Persona, variables: Variables, writes: boolean): Promise<Run> {
    try {
      return { ok: true, error: '', ...await personas[persona](variables, writes) }
    } catch (error) {
      return { ok: false, changes: false, outputs: {}, error: String(error) }
    }
  }

  return {
    plan: (persona, variables) => run(persona, variables, false),
    apply: (persona, variables) => run(persona, variables, true),
    state: async () => null,
    close: async () => {}
  }
}

/** Asks who it is and looks for instances, as `provider "aws"` does with what stands in the configurations. */
async function workInAws (endpoint: string, answer: Answer): Promise<string> {
  const keys = {
    accessKeyId: textAt(answer, 'data', 'access_key'),
    secretAccessKey: textAt(answer, 'data', 'secret_key'),
    sessionToken: textAt(answer, 'data', 'security_token')
  }
  const identity = await callAws(endpoint, 'sts', 'Action=GetCallerIdentity&Version=2011-06-15', keys)
  const instances = await callAws(endpoint, 'ec2', 'Action=DescribeInstances&Version=2016-11-15', keys)
  if (instances.status !== 200) throw new Error(`DescribeInstances answers ${instances.status}`)
  return /<Account>(\d+)<\/Account>/.exec(identity.text)?.[1] ?? ''
}
