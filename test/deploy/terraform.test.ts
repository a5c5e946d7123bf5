import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { createRequestRuns } from '../../deploy/terraform/play/requests.ts'
import { playStory, type Recording } from '../../deploy/terraform/play/story.ts'
import { createTerraformRuns, findTerraform } from '../../deploy/terraform/play/terraform.ts'

const limitMs = 600_000
t.setTimeout(limitMs)

/** Tells each step of a story as a test of its own. */
const stepsOf = (t: Test) => (what: string, holds: boolean, detail: string) => { t.ok(holds, what, { detail }) }

for (const flavour of ['http', 'vault'] as const) {
  t.test(`the configurations in deploy/terraform/${flavour}`, { timeout: limitMs }, async (t) => {
    let sent: Recording = {}

    await t.test('policy-admin, manager and operator work before and after a rotation, by their requests alone', async (t) => {
      sent = await playStory({ flavour, step: stepsOf(t), createRuns: (at) => createRequestRuns(flavour, at) })
    })

    const tools = findTerraform([flavour, 'aws'])
    const options = { skip: typeof tools === 'string' && tools, timeout: limitMs }
    await t.test('the same with Terraform, which sends the same requests', options, async (t) => {
      if (typeof tools === 'string') return
      const step = stepsOf(t)
      const recording = await playStory({ flavour, step, createRuns: (at) => createTerraformRuns(tools, flavour, at) })
      t.strictSame(Object.keys(recording), Object.keys(sent))
      for (const [run, requests] of Object.entries(recording)) t.strictSame(sent[run], requests, run)
    })
  })
}

t.test('the policy of a role names paths of its scope alone', async (t) => {
  for (const role of ['manager', 'operator']) {
    const text = readFileSync(path.join(import.meta.dirname, `../../deploy/terraform/policies/${role}.hcl`), 'utf8')
    const places = [...text.matchAll(/^path "([^"]*)"/gm)].map(([, place = '']) => place)
    t.ok(places.length >= 3)
    for (const place of places) t.match(place, /(?:^|\/)\$\{scope\}(?:\/|$)/, place)
  }
})

t.test('the script says where it does without Terraform, and plays both flavours', { timeout: limitMs }, async (t) => {
  const script = path.join(import.meta.dirname, '../../deploy/terraform/play.ts')
  const { status, stdout } = await run(script, { PATH: path.dirname(process.execPath) })
  t.equal(status, 0)
  for (const title of ['The http data source', 'The vault provider']) {
    t.match(stdout, `${title}, Terraform is not installed here: the same requests are sent without it.\n`)
  }
  t.match(stdout, /\n\nThe story went as it should\.\n$/)
  t.notMatch(stdout, /WRONG|secret1[0-9a-v]{26}/)
})

function run (script: string, env: NodeJS.ProcessEnv): Promise<{ status: number | null, stdout: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [script], { env }, (_error, stdout) => resolve({ status: child.exitCode, stdout }))
  })
}
