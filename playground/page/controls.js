// The form: what can be chosen, and what is.

const byId = (id) => document.getElementById(id);

const FIELDS = ["network", "method", "budget", "class", "guidance", "solver", "steps", "seed", "images"];

const option = (value, label) => new Option(label, value);

/** The form over the choices that the server tells. */
export class Controls {
  constructor(choices, words) {
    this.choices = choices;
    this.form = byId("controls");
    byId("network").replaceChildren(...choices.networks.map(({ name, title }) => option(name, title)));
    for (const [id, most] of [["steps", choices.limits.steps], ["images", choices.limits.images]]) byId(id).max = most;
    byId("guidance").min = -choices.limits.guidance;
    byId("guidance").max = choices.limits.guidance;
    this.choose("network", words.network);
    this.showNetwork(words);
    byId("network").addEventListener("change", () => this.showNetwork({}));
    for (const id of ["method", "budget", "steps", "solver", "guidance"]) {
      byId(id).addEventListener("input", () => this.showBudget());
    }
  }

  get network() {
    return this.choices.networks.find(({ name }) => name === byId("network").value);
  }

  get method() {
    return this.network.methods.find(({ name }) => name === byId("method").value);
  }

  /** Chooses what there is of a select's options, and leaves it where there is no such. */
  choose(id, value) {
    const select = byId(id);
    if ([...select.options].some((option) => option.value === value)) select.value = value;
  }

  /** Offers what a network has, at the values of `words` or at its own. */
  showNetwork(words) {
    const network = this.network;
    byId("method").replaceChildren(...network.methods.map(({ name, label }) => option(name, label)));
    const classes = network.classes.map((name, number) => option(String(number), name));
    const none = network.has_no_class ? [option("none", "no class")] : [];
    byId("class").replaceChildren(option("all", network.classes.length > 0 ? "all in turn" : "–"), ...classes, ...none);
    const solvers = this.choices.solvers.map(({ name, label }) => option(name, label));
    const own = network.solver === null ? [option("", network.solver_label)] : [];
    byId("solver").replaceChildren(...own, ...solvers);
    const values = {
      method: network.method,
      class: "all",
      solver: network.solver ?? "",
      budget: String(network.budget),
      guidance: String(network.guidance),
      steps: String(network.steps),
      seed: String(network.seed),
      images: String(this.choices.images),
    };
    for (const [id, value] of Object.entries({ ...values, ...words })) {
      if (!(id in values)) continue;
      if (byId(id).tagName === "SELECT") {
        this.choose(id, values[id]);
        this.choose(id, value);
      } else {
        byId(id).value = value;
      }
    }
    byId("guidance").disabled = !network.guided;
    byId("class").disabled = network.classes.length === 0;
    this.showBudget();
  }

  /** Says what the budget takes. */
  showBudget() {
    const { method, network } = this;
    const budget = byId("budget");
    budget.max = method.most_budget;
    byId("budget-output").value = `${budget.value} %`;
    const asOwn = ["solver", "steps", "guidance"].every((id) => byId(id).value === String(network[id] ?? ""));
    const isReady = method.ready.includes(Number(budget.value));
    const calibrates = method.ready.length < method.settings.length;
    let note = method.settings[budget.value / this.choices.budget_step - 1];
    if (calibrates && !(isReady && asOwn)) note += ": is calibrated first, once";
    byId("budget-note").textContent = note;
  }

  /** What is chosen, in the words of the address. */
  words() {
    return Object.fromEntries(FIELDS.map((id) => [id, byId(id).value]));
  }
}
