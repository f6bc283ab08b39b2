"""Ten questions on the ideas that the book stands on; wrong answers are known misconceptions."""

from ctlab.lessons.exercises.quizzes import Option, Question

ITEMS = {
    "window": Question(
        "A nodule is solid white in a lung window (level −600, width 1500 HU). What is known?",
        (
            Option("It is calcified.", "White is the top of the window, here 150 HU and more."),
            Option(
                "It has at least 150 HU, and nothing more.",
                "Everything above the window is white, soft tissue as well as chalk.",
                is_right=True,
            ),
            Option("It is denser than bone.", "A window shows no more than its own range."),
            Option("The scan was overexposed.", "CT values do not depend on exposure like film."),
        ),
    ),
    "dose": Question(
        "A scan is repeated at a quarter of the dose. Photons dominate the noise. The noise is now",
        (
            Option("four times as large.", "The variance is; noise is its square root."),
            Option("the same, since HU are calibrated.", "Calibration fixes the mean only."),
            Option("twice as large.", "Noise goes with one over the root of dose.", is_right=True),
            Option("half as large.", "Fewer photons mean more luck, not less."),
        ),
    ),
    "texture": Question(
        "White noise is added to a CT slice until its SD equals a low-dose scan's. The result",
        (
            Option("is a low-dose scan.", "An SD does not say where in frequency the noise is."),
            Option(
                "has another noise spectrum than a low-dose scan.",
                "FBP weakens low and lets through high frequencies; white noise has all alike.",
                is_right=True,
            ),
            Option("has the right texture but the wrong HU.", "The mean stays; texture is off."),
            Option("differs only outside the patient.", "It differs everywhere, also in streaks."),
        ),
    ),
    "metric": Question(
        "Image B has a higher PSNR than image A against the same reference. Therefore",
        (
            Option("B is safer to report from.", "A lost nodule is few pixels and costs little."),
            Option("B shows lesions better.", "PSNR averages pixels; lesions are few of them."),
            Option("B looks more natural.", "Smooth images often win in PSNR and look like wax."),
            Option(
                "B differs less from the reference, on average over pixels.",
                "That is all that it says, for one range and one window.",
                is_right=True,
            ),
        ),
    ),
    "mean": Question(
        "A network is trained on pairs to make the squared error small. Where the input leaves "
        "several images possible, it gives",
        (
            Option(
                "their average, which may look like none of them.",
                "The best guess in squares is the conditional mean, and it is blurred.",
                is_right=True,
            ),
            Option("the most likely one.", "That would be the mode; squares ask for the mean."),
            Option("one of them at random.", "It gives one answer, always the same."),
            Option("the true one, with enough data.", "Data do not bring back what noise took."),
        ),
    ),
    "unpaired": Question(
        "An unpaired network has a cycle loss of nearly nothing. What does that prove?",
        (
            Option("That it kept the anatomy.", "Both generators can agree on a wrong detail."),
            Option(
                "That its two generators undo each other on these images.",
                "Information can be hidden in faint patterns and brought back.",
                is_right=True,
            ),
            Option("That it invents nothing.", "What one invents the other can take away again."),
            Option("That the images were paired.", "It never saw a pair, and needs none."),
        ),
    ),
    "transport": Question(
        "What does the critic of a Wasserstein GAN estimate?",
        (
            Option(
                "The probability that an image is real.",
                "That is the discriminator of the first GANs.",
            ),
            Option("The noise of an image.", "It sees images, and scores them by any difference."),
            Option(
                "A potential whose mean difference is a transport distance.",
                "With slopes of at most one, it is a dual potential of optimal transport.",
                is_right=True,
            ),
            Option(
                "The distance of each image to its pair.", "There are no pairs to measure between."
            ),
        ),
    ),
    "map": Question(
        "A saliency map of a denoiser is bright on a nodule. What has been shown?",
        (
            Option("Why the network kept the nodule.", "A map shows where, by a recipe, not why."),
            Option("That the nodule is real.", "Maps are bright on invented nodules as well."),
            Option(
                "Little, until the map passes checks such as a shuffled network.",
                "A map that stays alike when the weights are shuffled did not explain them.",
                is_right=True,
            ),
            Option("That the network can be trusted.", "Trust needs evidence about errors."),
        ),
    ),
    "blinding": Question(
        "In a reader study the new images always come second. Readers prefer them. This may be",
        (
            Option(
                "an effect of order: readers know the case by then.",
                "Order and arm cannot be told apart unless both orders occur equally often.",
                is_right=True,
            ),
            Option("no problem, since readers did not know the method.", "Order alone can do it."),
            Option("no problem, with enough cases.", "More cases make a bias more certain."),
            Option("corrected by a smaller p-value.", "No threshold mends a design."),
        ),
    ),
    "sample": Question(
        "Four readers rate the same 50 cases in both arms. To how many observations is an interval "
        "for new readers and new patients entitled?",
        (
            Option("400, all ratings.", "They share readers and cases; that is too narrow."),
            Option("50, the cases.", "Closer, but then these four readers are the only ones."),
            Option("4, the readers.", "That ignores what many cases do tell."),
            Option(
                "It depends on how much readers and cases differ.",
                "Both are samples, and both spreads belong in the interval.",
                is_right=True,
            ),
        ),
    ),
}
"""Question by name, in the order in which they are asked."""
