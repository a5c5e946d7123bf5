import { parseArgs } from 'node:util'
import type { Case } from './case.ts'
import { ours, theirs } from './evaluators.ts'
import { generateCase } from './generate.ts'
import { knownDifferences } from './known.ts'
import { createRandom } from './random.ts'

const unexplainedShown = 5

/** Each known difference must still be one, in the same direction; else the README is out of date. */
async function checkExamples (): Promise<number> {
  let wrong = 0
  for (const { name, example, ours: oursBefore, theirs: theirsBefore } of knownDifferences) {
    const ourVerdict = ours(example)
    const theirVerdict = await theirs(example)
    if (ourVerdict === oursBefore && theirVerdict === theirsBefore) continue
    wrong++
    console.log(`not as recorded: ${name}: ours ${ourVerdict}, theirs ${theirVerdict}`)
  }
  return wrong
}

interface Totals {
  readonly byKind: Map<string, number>
  readonly byDifference: Map<string, number>
  readonly verdicts: Map<string, number>
  plain: number
  unexplained: number
  refused: number
}

function count (map: Map<string, number>, name: string): void {
  map.set(name, (map.get(name) ?? 0) + 1)
}

async function compare (test: Case, totals: Totals): Promise<void> {
  const ourVerdict = ours(test)
  const theirVerdict = await theirs(test)
  count(totals.byKind, test.kind)
  count(totals.verdicts, ourVerdict)
  if (ourVerdict === 'refused' || theirVerdict === 'refused') totals.refused++
  const touched = knownDifferences.filter(({ touches }) => touches(test))
  if (touched.length === 0) totals.plain++
  if (ourVerdict === theirVerdict) return
  if (touched.length > 0) {
    for (const { name } of touched) count(totals.byDifference, name)
    return
  }
  if (totals.unexplained++ < unexplainedShown) {
    console.log(`DISAGREEMENT: ours ${ourVerdict}, theirs ${theirVerdict}\n${JSON.stringify(test)}`)
  }
}

async function main (): Promise<number> {
  const { values } = parseArgs({
    options: { cases: { type: 'string', default: '50000' }, seed: { type: 'string', default: '1' } }
  })
  const cases = Number(values.cases)
  const random = createRandom(Number(values.seed))
  const totals: Totals = {
    byKind: new Map(), byDifference: new Map(), verdicts: new Map(), plain: 0, unexplained: 0, refused: 0
  }
  const startedMs = performance.now()
  for (let done = 0; done < cases; done++) await compare(generateCase(random), totals)
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  const wrong = await checkExamples()
  const list = (map: Map<string, number>): string => [...map].map(([name, times]) => `${name} ${times}`).join(', ')
  console.log(`${cases} random cases from seed ${values.seed} in ${seconds} s: ${list(totals.byKind)}`)
  console.log(`our verdicts: ${list(totals.verdicts)}; refused by either: ${totals.refused}`)
  console.log(`${totals.plain} cases touch no known difference: ${totals.unexplained} disagreements`)
  console.log(`${cases - totals.plain} cases touch one; disagreements by name:`)
  for (const [name, times] of totals.byDifference) console.log(`  ${times} x ${name}`)
  console.log(`${knownDifferences.length} known differences shown by a case of their own: ${wrong} not as recorded`)
  return totals.unexplained + totals.refused + wrong
}

process.exitCode = await main() === 0 ? 0 : 1
